-- What these take and answer has changed; they are made again at every start.
DROP FUNCTION IF EXISTS ledger.list_events(jsonb);
DROP FUNCTION IF EXISTS ledger.project_incidents(text, json, json, boolean, json, json, json, json, json, jsonb);
DROP FUNCTION IF EXISTS ledger.learn(json);
