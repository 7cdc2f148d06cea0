#!/bin/sh
# Stands in front of the programs of the image under their names, so that `docker compose exec api alerting list` finds the
# settings of the services, too: exec does not pass the entry point.
set -eu

exec "${ALERTING_ENTRYPOINT:-/opt/alerting/config/docker/entrypoint.sh}" "${ALERTING_PROGRAMS:-/usr/local/bin}/$(basename "$0")" "$@"
