SELECT since, index, commit, prepare, event_id FROM replies WHERE name = $1;
