"""An anomaly by recipe on a line: trained, put in service, evaluated, explained, and the same in
its past."""

import numpy as np
import pytest

from alerting.definitions.assets import Asset, Variable
from alerting.ports import ReadingRow
from alerting.usecases.explain.explain import why
from tests.builders import at
from tests.helpers.kind_life import (
    assert_past_agrees_with_live,
    in_service,
    platform_with,
    trained_at,
)

NAME = "recipe_oven-unlike-normal"
OVEN = "recipe_oven-1"
HOUR = 60
DAY = 24 * 60
TRAINED = 9 * DAY
BROKEN = 9 * DAY + 200
NEW = 10 * DAY
END = 11 * DAY
LEVELS = {"rye": (150, 40), "wheat": (180, 70), "oat": (165, 55)}
DOCUMENT = {
    "name": NAME,
    "kind": "anomaly",
    "assets": [OVEN],
    "by": "recipe",
    "windows": ["40m"],
    "threshold": {"false_alarms_per_week": 4},
    "schedule": {"retrain": None},
}


def recipe_oven():
    numbers = {name: Variable(low=-50, high=300) for name in ("heat", "flow", "load")}
    return Asset(name=OVEN, variables=numbers | {"recipe": Variable(type="category")})


def recipe_rows():
    """Return rye and wheat by turns of eight hours, oat on the last day; heat is 6 too high for a
    while of one turn of wheat."""
    random = np.random.default_rng(2)
    found = []
    for minute in range(0, END, 10):
        recipe = "oat" if minute >= NEW else ("rye", "wheat")[minute // (8 * HOUR) % 2]
        load = np.sin(2 * np.pi * minute / DAY) + 0.3 * random.normal()
        heat = (
            LEVELS[recipe][0]
            + 2 * load
            + 0.4 * random.normal()
            + 6 * (BROKEN <= minute < BROKEN + 180)
        )
        values = {
            "heat": heat,
            "flow": LEVELS[recipe][1] + 3 * load + 0.4 * random.normal(),
            "load": 10 + load,
        }
        found.append(
            ReadingRow(
                OVEN, at(minute), {**{n: float(v) for n, v in values.items()}, "recipe": recipe}
            )
        )
    return found


@pytest.fixture(scope="module")
def platform():
    made = platform_with(recipe_oven(), recipe_rows(), DOCUMENT)
    return in_service(made, trained_at(made, NAME, TRAINED), (*range(TRAINED, END, 97), END))


def test_its_episode_is_the_abnormality_within_a_recipe_in_live_evaluation_backtest_and_report(
    platform,
):
    (episode,) = [
        e for e in platform.episodes.find(NAME) if at(BROKEN) <= e.raised_at < at(BROKEN + 180)
    ]
    assert str(episode.evaluation.reason).endswith(" (normal operation of recipe wheat)")
    assert (episode.inputs["recipe"], episode.contributions[0].variable) == ("wheat", "heat")
    assert_past_agrees_with_live(platform, NAME, TRAINED, END)


def test_why_names_the_recipe_the_change_and_the_fallback(platform):
    usual, changing, new = (
        why(platform, NAME, OVEN, at(m)) for m in (TRAINED + 100, TRAINED + 8 * HOUR + 10, END - 10)
    )
    assert (usual.verdict, changing.verdict, new.verdict) == ("normal", "unknown", "normal")
    assert "normal operation of recipe wheat" in map(str, usual.facts)
    assert changing.answer == "cannot tell: the recipe changed within the last 40m"
    said = (
        "recipe oat: no or too little normal operation of its own, compared with all normal "
        "operation together"
    )
    assert said in map(str, new.facts)
