"""Processes of the stream service divide the sources that one process reads, and share those of
brokers with groups."""

import pytest

from alerting.definitions.sources.source import parse_source
from alerting.stream.share import owner, owner_of_shard, share_of

pytestmark = pytest.mark.fast

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


def test_the_shards_of_states_are_dealt_out_evenly():
    of_a_minute = [(60_000, number) for number in range(16)]
    for processes in (["a", "b"], ["b", "a", "c"]):
        owners = [owner_of_shard(shard, processes) for shard in of_a_minute]
        counts = [owners.count(process) for process in processes]
        assert max(counts) - min(counts) <= 1
    one_each = {owner_of_shard((every, 0), ["a", "b"]) for every in range(1_000, 21_000, 1_000)}
    assert one_each == {"a", "b"}


def test_sessions_of_mqtt_are_divided_and_groups_are_shared():
    mqtt = sources("mqtt", "line/{asset}")
    amqp = sources("amqp", "line.{asset}")
    both = {"a": [], "b": []}
    shares = [share_of(process, both, mqtt) for process in both]
    assert shares[0] | shares[1] == set(NAMES)
    assert not shares[0] & shares[1]
    assert share_of("a", both, amqp) == share_of("b", both, amqp) == set(NAMES)
    assert share_of("a", {"a": []}, mqtt) == set(NAMES)


OPC_UA = {"kind": "opcua", "url": {"env": "S"}, "nodes": {"i=1": {"variable": "t"}}, "asset": "a"}


def test_a_server_that_sends_values_once_stays_with_its_reader_until_that_one_is_dead():
    opc_ua = [parse_source({**OPC_UA, "name": name}) for name in NAMES]
    assert share_of("a", {"a": NAMES, "b": []}, opc_ua) == set(NAMES)
    assert share_of("b", {"a": NAMES, "b": []}, opc_ua) == set()
    assert share_of("b", {"b": []}, opc_ua) == set(NAMES)
    twice = {"a": NAMES, "b": NAMES, "c": []}  # two have taken it while the database was away
    shares = [share_of(process, twice, opc_ua) for process in "abc"]
    assert shares[0] | shares[1] == set(NAMES)
    assert not (shares[0] & shares[1] or shares[2])
