"""Many definitions on many ovens."""

from hypothesis import strategies as st

from alerting.definitions.assets import Asset, Variable
from alerting.ports import ReadingRow
from tests.builders import at, too_hot

OVENS = [
    Asset(
        name=f"oven-{i}",
        attributes={"limit": 205.0 + i},
        variables={
            "temperature": Variable(low=-50, high=500),
            "speed": Variable(),
            "state": Variable(type="category"),
        },
    )
    for i in range(1, 4)
]


DEFINITIONS = [
    too_hot(name="hot", assets=["oven-*"], stale_after="4m"),
    too_hot(
        name="hot-slow",
        assets=["oven-1", "oven-3"],
        **{"for": "3m"},
        clear_for="2m",
        clear_above_at=208,
    ),
    too_hot(
        name="own-limit",
        assets=["oven-*"],
        above={"attribute": "limit"},
        no_data="alert",
        stale_after="5m",
    ),
    too_hot(
        name="levels",
        assets=["oven-2"],
        above=None,
        levels={"medium": {"above": 207}, "critical": {"above": 215}},
    ),
    too_hot(
        name="band",
        assets=["oven-*"],
        variable="speed",
        above=None,
        inside={"low": 3, "high": 5},
        no_data="ignore",
    ),
    too_hot(
        name="frozen",
        assets=["oven-*"],
        variable="speed",
        above=6,
        frozen_after="6m",
        no_data="alert",
    ),
    too_hot(name="fast", assets=["oven-2"], variable="speed", above=2, rate_per="2m"),
    too_hot(name="often", assets=["oven-*"], above=206, at_least={"readings": 2, "of": 4}),
    too_hot(name="stopped", assets=["oven-*"], variable="state", above=None, equals="stopped"),
]


BAD = "bad"


WALK = st.lists(
    st.sampled_from([-8.0, -1.0, 0.0, 0.0, 0.0, 1.0, 8.0, None, BAD]), min_size=25, max_size=25
)


def rows_of(walks, stops):
    """Return a reading a minute of each oven: two random walks, and whether the oven stands."""
    rows = []
    for oven, temperature, speed in zip(OVENS, walks[::2], walks[1::2], strict=True):
        hot = 205.0
        fast = 4.0
        for minute, (a, b) in enumerate(zip(temperature, speed, strict=True), 1):
            hot = hot + step(a)
            fast = fast + step(b)
            values = {"state": "stopped" if minute in stops else "running"}
            values |= {"temperature": hot} if a not in (None, BAD) else {}
            values |= {"speed": fast} if b not in (None, BAD) else {}
            quality = {
                name: BAD for name, told in (("temperature", a), ("speed", b)) if told is BAD
            }
            rows.append(ReadingRow(oven.name, at(minute), values, quality))
    return rows


def step(told):
    return told if isinstance(told, float) else 0.0
