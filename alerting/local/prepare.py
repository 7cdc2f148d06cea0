"""Preparation of a home and its database: `alerting prepare`, first job of `alerting up`."""

import json
import os
import sys

from alerting.adapters.airflow.dag_files import write_dag_files
from alerting.definitions.faults import UserError
from alerting.local.secrets import Secrets, load_or_create
from alerting.settings.environment import Settings, read_settings
from alerting.settings.home_folder import create_home, home_errors
from alerting.wiring import database_warning, known_keys, prepare_database

NEW_KEYS = "--new-keys"


def prepare_home(settings: Settings) -> Secrets:
    """Create or update the home, and generate missing secrets. Idempotent.

    Raises UserError if the home cannot be used.
    """
    create_home(settings.home, "embedded" if settings.mongodb_uri is None else "named")
    known = known_keys(settings)
    with home_errors(settings.home):
        return load_or_create(settings.home / "secrets", known)


def prepare(settings: Settings, *, new_keys: bool = False) -> list[str]:
    """Create the home with Airflow's DAG files, and the collections, validators and indexes in its
    database. Return, for people, what is there of parts of the platform that left.

    Idempotent. `new_keys`: the keys of this home replace those of the database. Raises UserError if
    the home or the database cannot be used, or the keys are others.
    """
    prepare_home(settings)
    write_dag_files(settings.home)
    return prepare_database(settings, new_keys=new_keys)


def main() -> int:
    """Prepare DAG files and database in a home. Returns the exit code: 1 when refused. The last
    line but one says, as JSON, what is there of parts of the platform that left."""
    try:
        settings = read_settings(os.environ)
        write_dag_files(settings.home)
        left = prepare_database(settings, new_keys=NEW_KEYS in sys.argv[1:])
        warning = database_warning(settings)
    except UserError as refusal:
        sys.stderr.write(f"refused: {refusal}\n")
        return 1
    lines = [warning] if warning else []
    lines += [json.dumps(left), "collections, validators and indexes"]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
