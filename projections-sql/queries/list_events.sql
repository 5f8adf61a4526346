SELECT * FROM list_events($1);
