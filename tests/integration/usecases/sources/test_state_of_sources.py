"""Messages about a source after a refusal, and about one that was edited in the database."""

from alerting.adapters.memory.platform import memory_platform
from alerting.definitions.sources.source import parse_source
from alerting.usecases.operations.maintain import maintain
from alerting.usecases.sources.deliver import deliver
from alerting.usecases.sources.documents import apply_sources
from alerting.usecases.sources.status import source_statuses
from tests.builders import at

GATE = {"name": "gate", "kind": "http", "stale_after": "10m"}
ROW = {"ts": "2026-01-05T00:00:00Z", "asset": "oven-1", "values": {"t": 1}}


def test_the_reason_of_the_last_refused_row_stays_after_good_ones():
    platform = memory_platform()
    apply_sources(platform, [GATE], "ada", at(0))
    for minute, row in enumerate([{**ROW, "asset": None}, ROW]):
        deliver(platform, parse_source(GATE), [row], at(minute), by="gate")
    status = source_statuses(platform.sources, at(3))[0]
    assert (status.rows, status.refused, status.last_refused) == (1, 1, "asset: there is no asset")


def test_a_source_that_was_written_into_the_database_gets_a_revision_at_the_check_and_becomes_stale():
    platform = memory_platform()
    platform.sources.put(GATE)
    maintain(platform, at(0))
    assert [revision.actor for revision in platform.sources.revisions("gate")] == ["database"]
    assert "source stale: source gate" in maintain(platform, at(11))["faults"]
    assert len(platform.sources.revisions("gate")) == 1
