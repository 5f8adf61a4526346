DELETE FROM nonce_process WHERE process = $1;
