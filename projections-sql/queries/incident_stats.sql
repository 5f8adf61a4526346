SELECT incident_stats($1) AS stats;
