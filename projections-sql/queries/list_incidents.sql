SELECT * FROM list_incidents($1);
