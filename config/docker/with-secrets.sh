#!/bin/sh
# with-secrets.sh USER COMMAND...: gives USER, which the image's own entry point changes to, copies of the secrets of root.
set -eu

user=$1
shift
install -d -o "$user" -g "$user" -m 700 /run/own-secrets
install -o "$user" -g "$user" -m 400 /run/root-secrets/* /run/own-secrets/
exec docker-entrypoint.sh "$@"
