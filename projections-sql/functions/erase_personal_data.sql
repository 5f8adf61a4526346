-- Forgets the personal text that incidents had before an erasure. p_erasures: an array of {incident_id, revision, erased}, the revision of the
-- erasure and what of the incident is named as erased since; p_fields: by type of event, the fields of its data that are personal.
-- The search path decides which read model is meant.
CREATE OR REPLACE FUNCTION ledger.erase_personal_data(p_erasures json, p_fields jsonb)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
  UPDATE incident_event e
  SET data = (
        -- Member by member, so that what is left stands there as it stood.
        SELECT ('{' || coalesce(string_agg(
          to_json(member.key) || ':' || CASE WHEN p_fields -> e.type ? member.key THEN 'null' ELSE member.value::text END,
          ',' ORDER BY member.place
        ), '') || '}')::json
        FROM json_each(e.data) WITH ORDINALITY AS member(key, value, place)
      ),
      erased_fields = (
        SELECT array_agg(field ORDER BY place)
        FROM jsonb_array_elements_text(p_fields -> e.type) WITH ORDINALITY AS personal(field, place)
        WHERE e.data::jsonb ? field
      ),
      actor_name = NULL,
      assignee = NULL,
      erased = erasure.erased
  FROM json_to_recordset(p_erasures) AS erasure(incident_id uuid, revision integer, erased text[])
  WHERE e.incident_id = erasure.incident_id AND e.revision < erasure.revision;

  UPDATE incident_event e
  SET before_assignee = NULL
  FROM json_to_recordset(p_erasures) AS erasure(incident_id uuid, revision integer)
  WHERE e.incident_id = erasure.incident_id AND e.revision <= erasure.revision;

  UPDATE incident_details d
  SET title = NULL, description = NULL, labels = '{}'
  FROM json_to_recordset(p_erasures) AS erasure(incident_id uuid, revision integer)
  WHERE d.incident_id = erasure.incident_id AND d.revision < erasure.revision;
END
$$;
