"""What data declare by themselves is bounded: surplus rows are refused one by one, an alert is
raised, and the rest is stored."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.definitions.asset_documents import MOST_VARIABLES, Asset, Variable
from alerting.definitions.platform_limits import DeclarationBounds, DeclarationLimits
from alerting.definitions.sources import parse_source
from alerting.ports import AuditFilter
from alerting.usecases.ingestion.asset_import import GivenAsset, import_assets
from alerting.usecases.sources.store_rows import deliver
from tests.builders import at
from tests.in_memory_platform import maintain_at, memory_platform

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
GATE = parse_source({"name": "gate", "kind": "http"})


def plant(assets=(3, 5, 7), variables=(4, 8, 12)):
    """Return a platform on which a delivery, a source and all sources may declare so much."""
    return replace(
        memory_platform(),
        declaration_limits=DeclarationLimits(
            DeclarationBounds(*assets), DeclarationBounds(*variables)
        ),
    )


def rows(names, variable="t"):
    return [{"ts": NOON.isoformat(), "asset": name, "values": {variable: 1}} for name in names]


def named(prefix, count):
    return [f"{prefix}-{number}" for number in range(count)]


def names(platform):
    return [asset.name for asset in platform.assets.all()]


def test_rows_beyond_the_bound_of_a_delivery_are_refused_one_by_one_and_the_others_stored():
    platform = plant()
    found = deliver(
        platform, GATE, [*rows(named("new", 5)), *rows(["new-0"], "u")], at(0), by="gate"
    )
    assert (found.rows, names(platform)) == (4, ["new-0", "new-1", "new-2"])
    assert [row.line for row in found.refused] == [4, 5]
    assert found.refused[0].reason == (
        "'new-3': would be a new asset; this delivery declares 3 already, and 3 are allowed: send "
        "the row "
        "again, declare it first"
    )


def test_source_and_all_of_them_together_have_bounds_import_of_engineer_neither_has_nor_fills():
    platform = plant()
    import_assets(
        "plant.yaml",
        [GivenAsset("1", {"name": name}) for name in named("old", 20)],
        platform,
        now=at(0),
        actor="ada",
    )
    for number in range(3):
        deliver(platform, GATE, rows(named(f"a{number}", 3)), at(number), by="gate")
    of_sender = [
        deliver(platform, GATE, rows(named(f"b{n}", 3)), at(n), by=None, sender="anna")
        for n in range(2)
    ]
    assert [
        len([name for name in names(platform) if name.startswith(first)])
        for first in ("old", "a", "b")
    ] == [20, 5, 2]
    assert "all sources have declared 7" in of_sender[-1].refused[-1].reason
    known = deliver(platform, GATE, rows(named("old", 3)), at(9), by="gate")
    assert (known.rows, known.refused) == (0 + 3, [])
    assert "source gate" in maintain_at(platform, at(10))["faults"][0]


def test_a_row_with_too_many_new_variables_is_refused_whole_and_declares_nothing():
    platform = plant()
    wide = {
        "ts": NOON.isoformat(),
        "asset": "wide",
        "values": {f"v{number}": 1 for number in range(5)},
    }
    found = deliver(platform, GATE, [wide, *rows(["narrow"])], at(0), by="gate")
    assert (names(platform), [row.line for row in found.refused]) == (["narrow"], [1])
    reason = found.refused[0].reason
    assert "'wide.v0' and 4 more: would be a new variable" in reason
    assert ("this delivery declares" in reason, "send the row again" in reason) == (True, False)
    one_by_one = [row for number in range(5) for row in rows(["narrow"], f"w{number}")]
    refused = deliver(platform, GATE, one_by_one, at(1), by="gate").refused
    assert [row.line for row in refused] == [5]


def test_an_asset_that_is_full_refuses_rows_with_more_and_stores_the_others():
    platform = memory_platform()
    full = {f"v{number}": Variable() for number in range(MOST_VARIABLES)}
    platform.assets.store_assets([Asset(name="oven-1", variables=full)])
    found = deliver(
        platform,
        GATE,
        [*rows(["oven-1"], "more"), *rows(["oven-1"], "v7"), *rows(["oven-2"])],
        at(0),
        by="gate",
    )
    assert (found.rows, [row.line for row in found.refused]) == (2, [1])
    assert "an asset has at most 10000" in found.refused[0].reason


def test_the_known_values_of_a_row_are_stored_beside_new_variables_beyond_the_bound():
    platform = plant(variables=(1, 1, 1))
    platform.assets.store_assets([Asset(name="oven-1", variables={"t": Variable()})])
    row = {"ts": NOON.isoformat(), "asset": "oven-1", "values": {"t": 1, "u": 2, "v": 3}}
    found = deliver(platform, GATE, [row, *rows(["oven-1"], "w")], at(0), by="gate")
    assert (found.rows, [row.line for row in found.refused]) == (2, [1])
    assert "'oven-1.u' and 1 more: would be a new variable" in found.refused[0].reason
    assert [*platform.assets.get("oven-1").variables] == ["t", "w"]
    assert platform.deliveries.progress("gate").last["values"] == {"w": 1.0}


def test_the_alert_names_the_source_and_ends_a_day_after_the_last_refused_row():
    platform = plant()
    deliver(platform, GATE, rows(named("a", 4)), at(0), by=None, sender="anna")
    assert maintain_at(platform, at(2))["faults"] == ["declarations refused: sender anna"]
    reason = platform.platform_alerts.open()[0].reason
    assert reason.startswith("rows are refused, for example: 'a-3': would be a new asset")
    assert maintain_at(platform, at(0) + timedelta(days=1, minutes=1))["faults"] == []


ACTORS = [("anna", None, "anna"), ("anna", "gate", "anna"), (None, "gate", "source gate")]


@pytest.mark.parametrize(("sender", "by", "actor"), ACTORS)
def test_everything_that_data_declare_stands_in_the_audit(sender, by, actor):
    platform = memory_platform()
    deliver(
        platform, GATE, [*rows(named("new", 2)), *rows(["new-0"], "u")], at(0), by=by, sender=sender
    )
    deliver(platform, GATE, rows(named("new", 2)), at(1), by=by, sender=sender)
    [entry] = platform.audit.find(AuditFilter(start=at(-1), end=at(9)), 99)
    assert (entry.actor, entry.what, entry.subject) == (
        actor,
        "declared by data",
        "source gate" if by else "sender anna",
    )
    assert entry.why == "2 new assets: new-0, new-1; 3 new variables: new-0.t, new-0.u, new-1.t"
