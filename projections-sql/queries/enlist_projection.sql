INSERT INTO projection (name, version) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING;
