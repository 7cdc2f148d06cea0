"""Messages about a source after a refusal, and about one that was edited in the database."""

from dataclasses import replace

import pytest

from alerting.adapters.sources.addresses_and_secrets import resolver
from alerting.adapters.sources.file_drops import FolderDrop
from alerting.adapters.sources.sql import SqlReader
from alerting.definitions.platform_limits import DeclarationBounds, DeclarationLimits
from alerting.definitions.sources import parse_source
from alerting.ports import SourceLoss
from alerting.usecases.sources.poll import Readers, poll
from alerting.usecases.sources.status import SERVICE, SOURCES, source_statuses
from alerting.usecases.sources.store_rows import deliver
from tests.builders import at
from tests.in_memory_platform import maintain_at, memory_platform

GATE = {"name": "gate", "kind": "http", "stale_after": "10m"}
READERS = Readers(FolderDrop(), SqlReader(resolver({})))
ROW = {"ts": "2026-01-05T00:00:00Z", "asset": "oven-1", "values": {"t": 1}}


@pytest.fixture
def platform():
    made = memory_platform()
    SOURCES.apply(made, [GATE], "ada", at(0))
    return made


def status_of(platform, minute):
    (status,) = source_statuses(platform, at(minute))
    return status


def test_a_source_that_the_stream_service_has_paused_raises_an_alert_until_it_is_resumed(platform):
    SOURCES.change_state(platform, "gate", "pause", "ada", at(1))
    assert not status_of(platform, 1).is_stopped
    SOURCES.change_state(platform, "gate", "resume", "ada", at(2))
    SOURCES.change_state(platform, "gate", "pause", SERVICE, at(3))
    platform.deliveries.set_fault("gate", "10000 of its messages could not be stored")
    assert maintain_at(platform, at(4))["faults"] == ["source stopped: source gate"]
    assert "could not be stored" in platform.platform_alerts.open()[0].reason
    SOURCES.change_state(platform, "gate", "resume", "ada", at(5))
    assert maintain_at(platform, at(6))["faults"] == []


def test_values_that_are_lost_raise_an_alert_for_a_day():
    platform = memory_platform()
    SOURCES.apply(platform, [{**GATE, "stale_after": "30d"}], "ada", at(0))
    platform.deliveries.record_loss(
        "gate", SourceLoss("more than 50000 values waited to be stored", 12), at(1)
    )
    assert maintain_at(platform, at(2))["faults"] == ["values lost: source gate"]
    reason = "values are lost (12 so far): more than 50000 values waited to be stored"
    assert platform.platform_alerts.open()[0].reason == reason
    assert maintain_at(platform, at(24 * 60))["faults"] == ["values lost: source gate"]
    assert maintain_at(platform, at(24 * 60 + 2))["faults"] == []


def test_a_source_that_was_written_into_database_gets_a_revision_at_the_check_and_becomes_stale():
    platform = memory_platform()
    platform.sources.store_document(GATE)
    maintain_at(platform, at(0))
    assert [revision.actor for revision in platform.sources.revisions("gate")] == ["database"]
    assert "source stale: source gate" in maintain_at(platform, at(11))["faults"]
    assert len(platform.sources.revisions("gate")) == 1


@pytest.mark.parametrize("delivers", ["readings", "events"])
def test_a_file_that_declares_too_much_is_refused_whole_with_an_alert_and_the_others_are_stored(
    tmp_path, delivers
):
    bounds = DeclarationLimits(DeclarationBounds(3, 5, 9), DeclarationBounds(9, 9, 9))
    platform = replace(memory_platform(), declaration_limits=bounds)
    lab = {"name": "lab", "kind": "files", "pattern": f"{tmp_path}/*.csv", "delivers": delivers}
    lab["unchanged_for"] = "0s"
    SOURCES.apply(platform, [lab], "ada", at(0))
    for name, first, count in (("a.csv", 0, 4), ("b.csv", 10, 3), ("c.csv", 20, 3)):
        lines = [
            f"2026-01-05T12:00:00Z,oven-{number},stop,1.5" for number in range(first, first + count)
        ]
        (tmp_path / name).write_text("\n".join(["ts,asset,type,t", *lines, ""]))
    read = poll(platform, READERS, "lab", at(1))
    assert (read.rows, read.refused) == (3, 2)
    assert [asset.name for asset in platform.assets.all()] == ["oven-10", "oven-11", "oven-12"]
    assert (
        "declare it first; nothing of the file is stored"
        in platform.deliveries.progress("lab").last_refused
    )
    assert "declarations refused: source lab" in maintain_at(platform, at(2))["faults"]


def test_a_reading_after_now_is_told_of_with_its_distance_and_a_small_one_is_not(platform):
    for stamp, said in [
        ("2026-01-05T00:00:30Z", ""),
        ("2026-01-05T02:00:00Z", "its newest reading lies 2 h after now"),
        ("2036-01-05T00:00:00Z", "its newest reading lies 3652 d after now"),
    ]:
        deliver(platform, parse_source(GATE), [{**ROW, "ts": stamp}], at(0), by="gate")
        assert status_of(platform, 0).after_now[: len(said) or None] == said
