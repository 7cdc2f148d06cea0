"""A replica set whose primary is lost: an import and an evaluation go on, with nothing lost or
doubled."""

import pytest

from alerting.adapters.mongo import mongo
from alerting.adapters.mongo.mongo import (
    DatabaseDown,
    connect,
    members_warning,
    open_database,
    open_stores,
)
from tests.helpers.killed_processes import Commands, process
from tests.helpers.late_line import LEVELS, Line
from tests.helpers.notifications import notifications_of
from tests.helpers.replica_set import replica_set
from tests.support import free_port, require_real_server

HEAT = {m: 231 if m % 60 < 9 else 218 if m % 60 < 20 else 200 for m in range(1, 300)}
LATE = (121, 122, 123, 124)


class Strikes(Commands):
    """Lets something happen before the next command of a kind, one after the other."""

    def __init__(self, *strikes):
        super().__init__()
        self.waiting = list(strikes)

    def started(self, event):
        if self.waiting and self.waiting[0][0](event.command_name, event.command):
            self.waiting.pop(0)[1]()
        super().started(event)


def imports(name, command):
    return name == "insert" and command["insert"] == "readings"


def claims(name, command):
    """Return whether this is the one write of a delivery that the driver does not repeat."""
    is_update = name == "update" and command["update"] == "notifications"
    return is_update and command["updates"][0].get("multi", False)


def commits(name, _):
    return name == "commitTransaction"


def run(uri, name, commands):
    """Import readings in parts, some of them late, and evaluate, in a process of its own; return
    what was stored and sent."""
    with open_stores(uri, name, prepare=True):
        pass
    with process(uri, name, commands) as stores:
        line = Line(stores=stores, clear_for="2m", **LEVELS)
        line.feed({m: value for m, value in HEAT.items() if m not in LATE and m < 150})
        line.run(90)
        line.run(150)
        line.feed({m: HEAT[m] for m in (*LATE, *range(150, 300))}, 151)
        for minute in (200, 298, 299):
            line.run(minute)
        keys = [message.key for message in line.mail.messages]
        assert len(keys) == len(set(keys))
        return (
            stores.database["readings"].count_documents({}),
            line.condition_intervals(),
            line.state(),
            sorted((n.transition, n.channel, n.status) for n in notifications_of(line.platform)),
            len(keys),
        )


@pytest.mark.night
def test_a_primary_that_is_killed_or_steps_down_costs_nothing(tmp_path):
    require_real_server()
    with replica_set(tmp_path) as members:

        def kill():
            members.await_all()
            members.start(members.kill_primary())

        def step_down():
            members.await_all()
            members.step_down()

        expected = run(members.uri, "calm", Commands())
        assert expected[0] == len(HEAT)
        assert expected[-1] >= 5
        strikes = Strikes((imports, kill), (claims, step_down), (commits, kill))
        assert run(members.uri, "struck", strikes) == expected
        assert not strikes.waiting


def test_an_address_that_names_one_of_several_members_is_warned_of(real_server, monkeypatch):
    with connect(real_server) as client:
        assert members_warning(real_server, client) is None
        monkeypatch.setattr(mongo, "_hosts", lambda _: "one:1, two:2")
        warnings = [members_warning(f"mongodb://{of}", client) for of in ("one:1", "one:1,two:2")]
    assert warnings[0] is not None and warnings[0].endswith("Name all: one:1, two:2")
    assert warnings[1] is None


def test_with_several_servers_a_primary_is_awaited_longer_than_an_election():
    patience = {
        "mongodb://one:27017/?replicaSet=plant": mongo.TIMEOUT_S,
        "mongodb://ann:a%2Cb@one:27017/?appName=a,b": mongo.TIMEOUT_S,
        "mongodb://ann:secret@one,two:27018,three/?replicaSet=plant": mongo.ELECTION_S,
    }
    found = {}
    for hosts in patience:
        with connect(hosts) as client:
            found[hosts] = client.options.server_selection_timeout
    assert found == patience


def test_servers_that_are_all_away_are_said_before_the_end_of_an_election(monkeypatch):
    monkeypatch.setattr(mongo, "ELECTION_S", 1e5)
    hosts = ",".join(f"127.0.0.1:{free_port()}" for _ in range(3))
    with (
        pytest.raises(DatabaseDown, match="does not answer"),
        open_database(f"mongodb://{hosts}/?replicaSet=plant", "any"),
    ):
        pass
