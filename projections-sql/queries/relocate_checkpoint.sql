-- The same event, at the place that it has in another event store. Whoever moved the checkpoint meanwhile knows better. It is announced
-- with the leader's next beat.
UPDATE projection SET commit = $4, prepare = $5 WHERE name = $1 AND index = $2 AND event_id = $3;
