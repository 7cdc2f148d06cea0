#!/bin/sh
# Turns the secret files of this installation into the settings that the parts read, then becomes the command.
set -eu

folder=${ALERTING_SECRETS:-/run/alerting/secrets}

secret() {
    if [ ! -s "$folder/$1" ]; then
        echo "the secret $folder/$1 is missing: the job 'secrets' of docker-compose.yml makes it" >&2
        exit 1
    fi
    cat "$folder/$1"
}

mongodb=$(secret mongodb_password)
export ALERTING_MONGODB_URI="mongodb://alerting:$mongodb@${ALERTING_MONGODB_HOSTS:-mongodb:27017}/?replicaSet=alerting&authSource=alerting"
secret api_tokens.json > /dev/null
export ALERTING_API_TOKENS_FILE="$folder/api_tokens.json"
secret feedback_link_key > /dev/null
export ALERTING_LINK_KEY_FILE="$folder/feedback_link_key"
secret model_key > /dev/null
export ALERTING_MODEL_KEY_FILE="$folder/model_key"

airflow=$(secret airflow_database_password)
export AIRFLOW__DATABASE__SQL_ALCHEMY_CONN="postgresql+psycopg2://airflow:$airflow@postgres:5432/airflow"
broker=$(secret broker_password)
export AIRFLOW__CELERY__BROKER_URL="redis://:$broker@broker:6379/0"
AIRFLOW__CORE__FERNET_KEY=$(secret airflow_fernet)
AIRFLOW__API__SECRET_KEY=$(secret airflow_session)
AIRFLOW__API_AUTH__JWT_SECRET=$(secret airflow_jwt)
export AIRFLOW__CORE__FERNET_KEY AIRFLOW__API__SECRET_KEY AIRFLOW__API_AUTH__JWT_SECRET
# Airflow opens this file for writing, even where it changes nothing: it gets a copy of its own. It appears at once and whole,
# because a command may come here while Airflow reads it.
umask 077
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE="${TMPDIR:-/tmp}/own_airflow_passwords.json"
secret airflow_passwords.json > "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE.$$"
mv "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE.$$" "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
umask 022

mlflow=$(secret mlflow_database_password)
MLFLOW_TRACKING_USERNAME=alerting
MLFLOW_TRACKING_PASSWORD=$(secret mlflow_password)
export MLFLOW_TRACKING_USERNAME MLFLOW_TRACKING_PASSWORD
export ALERTING_MLFLOW_PASSWORD_FILE="$folder/mlflow_password"
export MLFLOW_BACKEND_STORE_URI="postgresql+psycopg2://mlflow:$mlflow@postgres:5432/mlflow"

# For a sink of kind sql; `--profile grafana` makes the database.
reporting=$(secret reporting_database_password)
export REPORTING_DB_URL="postgresql://reporting:$reporting@postgres:5432/reporting"

exec "$@"
