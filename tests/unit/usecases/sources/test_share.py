"""Processes of the stream service divide the sources that one process reads, and share those of
brokers with groups."""

from alerting.definitions.sources.source import parse_source
from alerting.usecases.sources.share import owner, share_of

NAMES = [f"line-{i}" for i in range(60)]


def sources(kind, topic):
    return [
        parse_source({"name": name, "kind": kind, "url": {"env": "B"}, "topic": topic})
        for name in NAMES
    ]


def test_every_source_has_one_owner_and_a_process_that_ends_moves_only_its_own():
    processes = ["a", "b", "c"]
    before = {name: owner(name, processes) for name in NAMES}
    after = {name: owner(name, ["a", "c"]) for name in NAMES}
    assert all(list(before.values()).count(process) > 10 for process in processes)
    assert {name for name in NAMES if before[name] != after[name]} == {
        name for name in NAMES if before[name] == "b"
    }


def test_sessions_of_mqtt_are_divided_and_groups_are_shared():
    mqtt = sources("mqtt", "line/{asset}")
    nats = sources("nats", "line.{asset}")
    shares = [share_of(process, ["a", "b"], mqtt) for process in ("a", "b")]
    assert shares[0] | shares[1] == set(NAMES)
    assert not shares[0] & shares[1]
    assert share_of("a", ["a", "b"], nats) == share_of("b", ["a", "b"], nats) == set(NAMES)
    assert share_of("a", [], mqtt) == set(NAMES)
