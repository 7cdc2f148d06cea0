#!/bin/sh
# with-secrets.sh USER COMMAND...: gives USER, which the image's own entry point changes to, copies of the secrets of root.
set -eu

user=$1
shift
folder=${ALERTING_SECRETS:-/run/root-secrets}
case $user in
    mongodb) names="keyfile root_password" ;;
    redis) names="redis.conf" ;;
    postgres) names="root_password airflow mlflow" ;;
esac
for name in $names; do
    if [ ! -s "$folder/$name" ]; then
        echo "the secret $folder/$name of $user is missing: the job 'secrets' of docker-compose.yml makes it" >&2
        exit 1
    fi
done
install -d -o "$user" -g "$user" -m 700 /run/own-secrets
install -o "$user" -g "$user" -m 400 "$folder"/* /run/own-secrets/
exec docker-entrypoint.sh "$@"
