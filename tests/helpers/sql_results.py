"""Results of a laboratory as sources of kind `sql` read them: of two machines in turn, one a
minute."""

from datetime import UTC, datetime

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SOURCE = {
    "name": "quality",
    "kind": "sql",
    "url": {"env": "QUALITY_DB"},
    "table": "plant.results",
    "cursor": "id",
    "chunk": 10,
    "time": "taken_at",
    "asset_column": "machine",
    "asset_prefix": "oven-",
}


def hardness(platform):
    """Return the stored values of hardness by machine and minute."""
    found = {}
    for asset in platform.assets.all():
        frame = platform.readings.load(asset, None, None).readings["hardness"].dropna()
        found |= {
            (asset.name, int((ts - NOON).total_seconds() // 60)): value
            for ts, value in frame.items()
        }
    return found


def expected(count):
    """Return the hardness of the first results as `hardness` returns it."""
    return {(f"oven-{1 + i % 2}", i): i / 2 for i in range(count)}
