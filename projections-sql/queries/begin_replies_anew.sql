UPDATE replies
SET since = $2, index = -1, commit = -1, prepare = -1, event_id = NULL
WHERE name = $1;
