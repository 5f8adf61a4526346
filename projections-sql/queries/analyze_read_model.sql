ANALYZE incident, incident_event, incident_details, learnt, access_key_event;
