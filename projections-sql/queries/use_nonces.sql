SELECT is_held, begun_ms, fresh FROM use_nonces($1, $2, $3, $4);
