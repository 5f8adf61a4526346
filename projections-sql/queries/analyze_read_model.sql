ANALYZE incident, incident_event, incident_details, learnt;
