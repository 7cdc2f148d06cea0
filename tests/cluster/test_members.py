"""A database of one member that gets two more, as when the second compose file is added."""

import importlib.util
import time
from pathlib import Path

import pytest
from pymongo import WriteConcern

from tests.helpers.replica_set import Members
from tests.support import require_real_server

FILE = Path(__file__).parents[2] / "config" / "docker" / "prepare.py"
HANG_S = 600.0


@pytest.fixture
def prepare():
    spec = importlib.util.spec_from_file_location("prepare_of_compose", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def members(tmp_path):
    """Three servers, of which the first is a set of its own."""
    require_real_server()
    made = Members(tmp_path)
    try:
        made.begin_alone()
        yield made
    finally:
        made.end()


def wait_until(happened):
    deadline = time.monotonic() + HANG_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_set_of_one_goes_on_while_it_gets_two_more_members(prepare, members):
    hosts = members.hosts.split(", ")
    with members.server(0) as admin:
        kept = admin["kept"]["rows"].with_options(write_concern=WriteConcern("majority"))
        kept.insert_one({"_id": 1})
        prepare.add_members(admin, hosts)
        kept.insert_one({"_id": 2})
        members.await_all()
        wait_until(lambda: admin.admin.command("replSetGetStatus")["votingMembersCount"] == 3)
        config = admin.admin.command("replSetGetConfig")["config"]
        assert sorted(member["host"] for member in config["members"]) == sorted(hosts)
        assert config["settings"]["electionTimeoutMillis"] == prepare.ELECTION_MS
        prepare.add_members(admin, hosts)
        again = admin.admin.command("replSetGetConfig")["config"]
        assert [m["host"] for m in again["members"]] == [m["host"] for m in config["members"]]
    members.kill_primary()
    wait_until(lambda: members.primary_or_none() is not None)
    with members.server(members.primary()) as admin:
        assert admin["kept"]["rows"].count_documents({}) == 2
