UPDATE nonce_memory SET holder = NULL, held_until = NULL WHERE holder = $1;
