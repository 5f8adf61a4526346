-- The first few incidents whose ids lie between these two: those that begin alike.
SELECT id FROM incident WHERE id BETWEEN $1 AND $2 ORDER BY id LIMIT 3;
