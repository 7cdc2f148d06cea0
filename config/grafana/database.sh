#!/bin/sh
# Makes the database `reporting` with its owner, and the user `grafana`, who reads it; what is there stays, but for passwords.
set -eu

secrets=${ROOT_SECRETS:-/run/root-secrets}
own=${GRAFANA_SECRETS:-/run/grafana-secrets}
export PGHOST="${PGHOST:-postgres}" PGUSER="${PGUSER:-postgres}" PGPASSWORD
PGPASSWORD=$(cat "$secrets/root_password")

psql --quiet -v ON_ERROR_STOP=1 --dbname postgres \
    --set owner="$(cat "$secrets/reporting")" --set reader="$(cat "$own/reader_password")" <<'SQL'
SELECT format('CREATE ROLE %I', name) FROM unnest(ARRAY['reporting', 'grafana']) AS name
WHERE name NOT IN (SELECT rolname FROM pg_roles) \gexec
ALTER ROLE reporting LOGIN PASSWORD :'owner';
ALTER ROLE grafana LOGIN PASSWORD :'reader';
ALTER ROLE grafana SET default_transaction_read_only = on;
ALTER ROLE grafana SET statement_timeout = '60s';
SELECT 'CREATE DATABASE reporting OWNER reporting'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'reporting') \gexec
REVOKE CONNECT, TEMPORARY ON DATABASE reporting FROM PUBLIC;
GRANT CONNECT ON DATABASE reporting TO grafana;
\connect reporting
GRANT SELECT ON ALL TABLES IN SCHEMA public TO grafana;
ALTER DEFAULT PRIVILEGES FOR ROLE reporting IN SCHEMA public GRANT SELECT ON TABLES TO grafana;
SQL
