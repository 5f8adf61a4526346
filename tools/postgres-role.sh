#!/bin/sh
# Run by the Postgres image at its first start, over the socket. The service gets a role of its own, which is no superuser;
# the superuser loses its password, and with it every way in from outside the container.
set -eu
psql --set=ON_ERROR_STOP=1 --set=password="$POSTGRES_PASSWORD" --username="$POSTGRES_USER" --dbname=postgres --quiet <<'SQL'
CREATE ROLE ledger LOGIN PASSWORD :'password';
CREATE DATABASE ledger OWNER ledger;
ALTER ROLE CURRENT_USER PASSWORD NULL;
SQL
