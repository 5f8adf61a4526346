-- The same event, at the place that it has in another event store.
UPDATE replies SET commit = $4, prepare = $5 WHERE name = $1 AND index = $2 AND event_id = $3;
