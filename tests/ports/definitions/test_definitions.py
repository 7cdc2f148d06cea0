"""Ports `Definitions` and `DerivedFeatureStore`."""

from datetime import timedelta

import pytest
from pymongo.errors import WriteError

from alerting.definitions.faults import UserError
from alerting.learning.features.planning import DerivedFeatures
from tests.builders import at, revision, threshold, too_hot, too_moist
from tests.helpers.contracts import each, step

SUPPRESSION = {
    "when": [
        {"variable": "line_state", "equals": "stopped", "stale_after": "24h"},
        {"event": "cleaning", "recovery": "15m"},
    ],
    "windows": [{"days": ["sat", "sun"], "from": "22:00", "to": "06:00"}],
    "timezone": "Europe/Berlin",
    "still_notify": ["critical"],
}
MALFORMED = (
    {"when": [{"variabel": "line_state"}]},
    {"when": [{"variable": "speed", "below": "slow"}]},
    {"windows": [{"from": "22:00", "to": "6 o'clock"}]},
    {"windows": [{"from": "22:00", "to": "06:00", "days": ["samstag"]}]},
    {"windows": [], "still_notify": ["worst"]},
)
REFUSED = {
    "unknown field": too_hot(abvoe=3),
    "missing field": {k: v for k, v in too_hot().items() if k != "variable"},
    "text for a number": too_hot(above="hot"),
    "unknown field deep down": too_moist(problem={"variable": "moisture", "abvoe": 1}),
    "not a duration": too_moist(horizon="half an hour"),
    "a third kind": too_hot(kind="oracle"),
    "no name": {k: v for k, v in too_hot().items() if k != "name"},
    "out of bounds": too_moist(learning={"trials": 0}),
    "on the excluded bound": too_moist(periods={"test": 0}),
    "half a fold": too_moist(learning={"folds": 2.5}),
    "a limit misspelt in a level": too_hot(levels={"medium": {"abov": 1}}),
    "a limit that names nothing": too_hot(above={"atribute": "x"}),
    "an unknown way without data": too_hot(no_data="normal"),
    **{f"suppression {number}": too_hot(suppression=one) for number, one in enumerate(MALFORMED)},
}
THRESHOLDS = [
    {"above": {"attribute": "max"}, "clear_above_at": 3},
    {"above": None, "inside": {"low": 1, "high": {"attribute": "max"}}},
    {"above": None, "equals": True},
    {"above": None, "equals": "stopped"},
    {"above": None, "equals": {"attribute": "recipe"}},
    {
        "above": None,
        "levels": {"medium": {"above": 215}, "critical": {"above": 230, "clear_above_at": 225}},
    },
    {
        "at_least": {"readings": 3, "of": 5},
        "rate_per": "1m",
        "no_data": "alert",
        "frozen_after": "1h",
    },
    {"suppression": SUPPRESSION},
]
MINUTES = DerivedFeatures(
    timedelta(minutes=1), (timedelta(minutes=15), timedelta(hours=1)), "the finest sampling is 1m"
)
HOURS = DerivedFeatures(timedelta(hours=1), (timedelta(hours=3),), "the finest sampling is 1h")
QUIET = {"when": [{"variable": "running", "equals": "no"}]}
FIRST = revision(threshold(), at(0))
SECOND = revision(threshold(above=220), at(1), before=FIRST)
A_FIRST = revision(threshold(name="a-first"), at(2))
HAD = revision(threshold(name="had", suppression=QUIET))
BY_FIELD = [
    HAD,
    revision(threshold(name="had"), at(1), HAD),
    revision(threshold(name="has", suppression=QUIET)),
    revision(threshold(name="never")),
]
WAYS = [({"name": f"hot-{number}"} | changes) for number, changes in enumerate(THRESHOLDS)]


def on_definitions(method, *given, **named):
    return step(f"definitions.{method}", *given, **named)


CLAIMS = {
    "documents come back as people wrote them, sorted and replaced by name": [
        on_definitions("store_document", too_moist()),
        on_definitions("store_document", too_hot(title="Zone 2 is too hot")),
        on_definitions("store_document", too_hot(above=220)),
        on_definitions("documents", gives=[too_hot(above=220), too_moist()]),
    ],
    "a faulty mark stands beside the document until it is taken away": [
        on_definitions("store_document", too_hot()),
        on_definitions("mark_faulty", "too-hot", ["variable: is not known"]),
        on_definitions("documents", gives=[too_hot(_faults=["variable: is not known"])]),
        on_definitions("faulty", gives={"too-hot": ["variable: is not known"]}),
        on_definitions("mark_faulty", "too-hot", []),
        on_definitions("documents", gives=[too_hot()]),
        on_definitions("faulty", gives={}),
    ],
    "revisions come back equal, each number is taken once, and the latest are found by name": [
        *(on_definitions("add_revision", one, gives=True) for one in (SECOND, FIRST, A_FIRST)),
        on_definitions("add_revision", revision(threshold(above=230), at(1)), gives=False),
        on_definitions("latest_revisions", gives=[A_FIRST, SECOND]),
        on_definitions("revisions", "too-hot", gives=[FIRST, SECOND]),
    ],
    "the newest revisions can be asked for by a field that they have": [
        *(on_definitions("add_revision", one) for one in BY_FIELD),
        on_definitions("latest_revisions", "suppression", gives=each(name=["has"])),
        on_definitions("latest_revisions", gives=each(name=["had", "has", "never"])),
        on_definitions(
            "latest_revisions", None, ["never", "has"], gives=each(name=["has", "never"])
        ),
        on_definitions("latest_revisions", "suppression", ["never"], gives=[]),
        on_definitions("latest_revisions", None, [], gives=[]),
    ],
    "every way to write a threshold is taken as a document and as a revision": [
        *(on_definitions("store_document", too_hot(**way)) for way in WAYS),
        on_definitions("documents", gives=[too_hot(**way) for way in WAYS]),
        *(on_definitions("add_revision", revision(threshold(**way), at(0))) for way in WAYS),
        *(
            on_definitions("revisions", way["name"], gives=[revision(threshold(**way), at(0))])
            for way in WAYS
        ),
    ],
    "each question of each definition keeps the derived values that were first stored": [
        step("derived_features.get", "too-moist", "q1", gives=None),
        step("derived_features.fix", "too-moist", "q1", MINUTES, gives=MINUTES),
        step("derived_features.fix", "too-moist", "q1", HOURS, gives=MINUTES),
        step("derived_features.fix", "too-moist", "q2", HOURS, gives=HOURS),
        step("derived_features.get", "too-moist", "q1", gives=MINUTES),
        step("derived_features.get", "too-dry", "q1", gives=None),
    ],
}


def test_the_stores_of_definitions_keep_every_claim(broken):
    assert broken(CLAIMS) == {}


def test_a_document_that_the_server_refuses_is_refused_and_not_stored(real):
    refused = {}
    for what, document in REFUSED.items():
        try:
            real.definitions.store_document(document)
        except UserError as error:
            refused[what] = "the database refuses definition" in str(error)
    assert refused == dict.fromkeys(REFUSED, True)
    assert real.definitions.documents() == []
    real.definitions.store_document(too_hot())
    with pytest.raises(WriteError):
        real.database["alert_definitions"].update_one({"name": "too-hot"}, {"$set": {"abvoe": 3}})


def test_the_server_takes_dates_and_the_numbers_of_every_shell(real):
    periods = {"start": at(0), "end": "2026-02-01T00:00:00Z"}
    document = too_moist(
        periods=periods, learning={"trials": 8.0, "folds": 3}, features={"stride": None}
    )
    real.database["alert_definitions"].insert_one(dict(document))
    assert real.definitions.documents() == [document]


def test_the_server_takes_modes_in_place_of_a_problem_and_refuses_a_classifier_without_both(real):
    modes = {name: {"variable": name, "above": 1.0} for name in ("wear", "heat")}
    without = {name: value for name, value in too_moist().items() if name != "problem"}
    real.definitions.store_document({**without, "modes": modes})
    assert real.definitions.documents() == [{**without, "modes": modes}]
    with pytest.raises(UserError, match="the database refuses definition"):
        real.definitions.store_document({**without, "name": "nothing"})
