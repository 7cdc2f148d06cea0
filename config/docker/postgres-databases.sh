#!/bin/sh
# A database and an owner for each service; runs once, when the server makes its first files.
set -eu

for name in airflow mlflow; do
    psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --set name="$name" --set password="$(cat "/run/own-secrets/$name")" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
SQL
done
