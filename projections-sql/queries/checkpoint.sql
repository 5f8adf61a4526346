SELECT version, generation, index, commit, prepare, event_id FROM projection WHERE name = $1;
