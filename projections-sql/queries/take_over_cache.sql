-- $1: the new leader. Ends every earlier leader's say and every earlier epoch.
-- An epoch that was open until now has no retired_at: this statement cannot know when its own commit will be seen.
UPDATE ledger.cache_epoch
SET leader = $1, version = version + 1, epoch = NULL, place = NULL
RETURNING version, extract(epoch FROM clock_timestamp() - retired_at)::float8 AS seconds_retired
