-- What an interrupted rebuild left goes first.
DROP SCHEMA IF EXISTS read_model_old CASCADE;
DROP SCHEMA IF EXISTS read_model_next CASCADE;
CREATE SCHEMA read_model_next;
