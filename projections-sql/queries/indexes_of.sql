SELECT revision, index FROM incident_event WHERE incident_id = $1;
