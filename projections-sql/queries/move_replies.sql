-- Only from where the caller thinks it stands: whoever led before and does not know that he no longer does moves nothing.
UPDATE replies
SET index = $3, commit = $4, prepare = $5, event_id = $6
WHERE name = $1 AND index = $2;
