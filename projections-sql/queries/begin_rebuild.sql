INSERT INTO projection (name, version)
VALUES ($1, $2)
ON CONFLICT (name) DO UPDATE
SET version = excluded.version, generation = 0, index = -1, commit = -1, prepare = -1, event_id = NULL;
