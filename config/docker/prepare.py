"""Prepares the databases; runs before the services at every start, and changes nothing that is
ready.

MongoDB: the replica set, of one member unless ALERTING_MONGODB_HOSTS names more, the platform's
user, and what `alerting prepare` makes (collections, validators, indexes). Airflow: its tables, and
the pools of long work. MLflow prepares its own.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from alerting.adapters.airflow.dag_files import write_pools
from alerting.settings.environment import read_settings
from alerting.wiring import prepare_database

SECRETS = Path("/run/alerting/secrets")
NOT_YET_INITIALIZED = 94
CHANGES_ALREADY = (103, 109)  # of a set's configuration: another change is not finished yet
USER_NOT_FOUND = 11
PATIENCE_S = 60.0
ELECTION_MS = 5000


def replica_set(admin: MongoClient, hosts: list[str]) -> None:
    """A replica set, also of one, so that acknowledged writes are journalled and can be read back
    after any crash. `admin`: of the first host."""
    try:
        admin.admin.command("replSetGetStatus")
    except OperationFailure as failure:
        if failure.code != NOT_YET_INITIALIZED:
            raise
        members = [{"_id": number, "host": host} for number, host in enumerate(hosts)]
        wanted = {"_id": "alerting", "members": members}
        if len(members) > 1:
            wanted["settings"] = {"electionTimeoutMillis": ELECTION_MS}
        admin.admin.command("replSetInitiate", wanted)
    until = time.monotonic() + PATIENCE_S
    while not admin.admin.command("hello").get("primary"):
        if time.monotonic() > until:
            sys.exit(f"MongoDB has no primary after {PATIENCE_S:.0f} s")
        time.sleep(0.5)


def add_members(admin: MongoClient, hosts: list[str]) -> None:
    """Add the hosts that a set lacks, as one that began with fewer does. A new member votes once it
    has copied all data, so writes go on meanwhile. `admin`: of the set."""
    until = time.monotonic() + PATIENCE_S
    while True:
        config = admin.admin.command("replSetGetConfig")["config"]
        missing = sorted(set(hosts) - {member["host"] for member in config["members"]})
        if not missing:
            return
        number = max(member["_id"] for member in config["members"]) + 1
        config["members"].append({"_id": number, "host": missing[0]})
        config["settings"]["electionTimeoutMillis"] = ELECTION_MS
        config["version"] += 1
        try:
            admin.admin.command("replSetReconfig", config)
        except OperationFailure as failure:
            if failure.code not in CHANGES_ALREADY or time.monotonic() > until:
                raise
            time.sleep(0.5)


def platform_user(admin: MongoClient) -> None:
    """The platform may change its own database."""
    roles = ["dbOwner"]
    words = {"pwd": (SECRETS / "mongodb_password").read_text(), "roles": roles}
    try:
        admin["alerting"].command("updateUser", "alerting", **words)
    except OperationFailure as failure:
        if failure.code != USER_NOT_FOUND:
            raise
        admin["alerting"].command("createUser", "alerting", **words)


def main() -> None:
    root = (SECRETS / "mongodb_root_password").read_text()
    hosts = os.environ.get("ALERTING_MONGODB_HOSTS", "mongodb:27017").split(",")
    with MongoClient(hosts[0], username="root", password=root, directConnection=True) as first:
        replica_set(first, hosts)
    with MongoClient(hosts, username="root", password=root, replicaSet="alerting") as admin:
        add_members(admin, hosts)
        platform_user(admin)
    settings = read_settings(os.environ)
    prepare_database(settings)
    airflow = (sys.executable, "-m", "airflow")
    subprocess.run([*airflow, "db", "migrate"], check=True)
    pools = write_pools(settings.home, settings.background_slots)
    subprocess.run([*airflow, "pools", "import", str(pools)], check=True)


if __name__ == "__main__":
    main()
