"""A press whose force swings around a level that depends on the recipe, with learned limits."""

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from tests.builders import at
from tests.in_memory_platform import in_memory_platform

DAY = 24 * 60
ASSET = Asset(
    name="press-1",
    variables={"force": Variable(unit="kN", low=0, high=100), "recipe": Variable(type="category")},
)
DOCUMENT = {
    "name": "force-too-high",
    "kind": "threshold",
    "assets": ["press-1"],
    "variable": "force",
    "above": {"learned": {"quantile": 0.99, "over": "2d", "by": ["recipe"]}},
    "stale_after": "30m",
}


def force(minute, level=10.0):
    """Return a force that swings by 1 around a level, 10 higher with recipe B, which runs every
    second half day."""
    return level + 10 * (minute // 720 % 2) + (minute % 20) / 10 - 1


def running(days=2, extra=(), **changes):
    """Return a platform with readings every two minutes, after which a definition was applied."""
    platform = in_memory_platform()
    platform.assets.store_assets([ASSET])
    platform.assets.put_event_types([EventType(name="jam", duration="lasting")])
    rows = [
        ReadingRow(
            "press-1",
            at(m),
            {"force": force(m), **({"recipe": "AB"[m // 720 % 2]} if m % 720 == 0 else {})},
        )
        for m in range(0, days * DAY, 2)
    ]
    add_readings(
        platform, [*rows, *(ReadingRow("press-1", at(m), values) for m, values in extra)], at(0)
    )
    apply(platform, [{**DOCUMENT, **changes}], "engineer", at(0), "test")
    return platform
