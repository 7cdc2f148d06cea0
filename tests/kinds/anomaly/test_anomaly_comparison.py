"""When a new detector of anomalies may replace the one in service without a person."""

import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from alerting.definitions.asset_documents import Asset, Variable
from alerting.kinds.anomaly import comparison
from alerting.kinds.anomaly.comparison import AnomalyEvidence, compare_models, list_objections
from alerting.kinds.anomaly.detectors import count_components, fit_components
from alerting.kinds.anomaly.model import AnomalyModel, FittedDetector
from alerting.kinds.anomaly.normal_rows import NormalSpace
from alerting.kinds.normal_comparison import UnseenEvidence
from alerting.kinds.registry import parse_definition
from alerting.kinds.training_protocol import LearningData, NormalTime
from alerting.learning.features.plan import FeaturePlan, NumberSource
from alerting.readings.history import History
from tests.builders import at
from tests.helpers.long_history import in_memory

GOOD = AnomalyEvidence(
    false_alarms=1,
    unseen=1.0,
    allowed=1.0,
    problems=2,
    synthetic=50,
    injected=60,
    leads_s=(-60.0, -60.0),
)


def raised(new, old):
    """Return the objections that hold."""
    return {name for name, holds in list_objections(new, old).items() if holds}


SHORT = replace(GOOD, false_alarms=0, unseen=0.02, allowed=0.02, leads_s=(), problems=0)
# evidence of a new model, of the one in service, and the objections that hold
TABLE = [
    (GOOD, None, set()),
    (GOOD, GOOD, set()),
    (replace(GOOD, unseen=0.0), GOOD, {"no_unseen_time"}),
    (replace(GOOD, false_alarms=5), GOOD, {"too_many_alarms"}),
    (replace(GOOD, lasting=0.3), GOOD, {"too_many_alarms", "lasting_alarms"}),
    (replace(GOOD, leads_s=(-60.0,)), GOOD, {"fewer_problems"}),
    (replace(GOOD, injected=0, synthetic=0), GOOD, {"no_synthetic_time", "fewer_synthetic"}),
    (replace(GOOD, false_alarms=0, unseen=0.003, allowed=0.003), GOOD, {"too_little_time"}),
    (replace(GOOD, synthetic=46), GOOD, {"fewer_synthetic"}),
    (replace(GOOD, synthetic=48), GOOD, set()),  # one in twenty fewer
    (SHORT, None, {"too_little_time"}),  # a first model
    (replace(SHORT, unseen=0.5, allowed=0.5), None, set()),
    (replace(GOOD, leads_s=()), None, {"finds_no_problem"}),  # but synthetic anomalies
    (replace(GOOD, leads_s=(), synthetic=0), None, {"finds_no_problem"}),
    (replace(SHORT, unseen=0.5, allowed=0.5, synthetic=0), None, {"finds_no_anomaly"}),
    # normal has moved, or a fault goes on
    (GOOD, replace(GOOD, false_alarms=5), {"champion_raises_too_many"}),
]


def test_a_person_decides_where_evidence_is_missing_or_worse():
    assert [(new, old, raised(new, old)) for new, old, _ in TABLE] == TABLE


H = 3600.0
# number of problems, seconds from the alarm to each found one, and the sentence
HOW_FOUND = [
    (0, (), "no problem to find"),
    (4, (), "0 of 4 problems found"),
    (14, 14 * (-3 * H,), "14 of 14 problems found while they lasted, typically after 3h"),
    (3, (0.0,), "1 of 3 problems found while it lasted, typically after 0s"),
    (1, (-H,), "1 of 1 problem found while it lasted, typically after 1h"),
    (2, (H, 3 * H), "2 of 2 problems announced, typically 2h ahead"),
    # typical is the median: one alarm that came very late does not move it
    (
        6,
        (-H, -2 * H, -90 * H, 0.5 * H),
        "4 of 6 problems found: 3 while they lasted, typically after 2h, 1 announced, typically "
        "30m ahead",
    ),
]


def test_found_problems_say_after_which_time_and_how_long_ahead_of_how_many():
    assert [
        (
            problems,
            leads,
            UnseenEvidence(problems=problems, leads_s=leads).describe_problems(),
        )
        for problems, leads, _ in HOW_FOUND
    ] == HOW_FOUND


def test_the_rate_reached_is_said_beside_the_one_asked_and_its_interval_to_statisticians():
    weekly = replace(GOOD, false_alarms=2, unseen=2.0, allowed=2.0)
    share = replace(GOOD, lasting=0.01, variance=0.0, blocks=100)
    assert [
        (e.describe_rate(s), e.describe_interval(s)) for e, s in ((weekly, None), (share, 0.01))
    ] == [
        (
            "1 a week of normal time, 1 asked",
            "False alarms a week of unseen normal time: 1, 95 % interval 0.12 to 3.6 (exact).",
        ),
        (
            "1.0 % of that time in alarm, 1.0 % asked",
            "In alarm 1.00 % of unseen normal time, 95 % interval 0.18 % to 5.45 % (Wilson over "
            "days).",
        ),
    ]


DAY = 24 * 60
PLAN = FeaturePlan(
    600_000, (2_400_000,), ("mean",), tuple(NumberSource(name, 600_000) for name in "ab")
)


def compared(challenger, champion, include=("*",), spacing=None, **fields):
    """Compare models of the assets named, each with the limit of its scores, on a week of usual
    values of two presses. `spacing`: of the problem's variable, which the champion does not have.
    """
    random = np.random.default_rng(0)
    space = NormalSpace.fit(random.normal(size=(500, 2)))
    detector = fit_components(space.encode(random.normal(size=(500, 2))))
    index = pd.DatetimeIndex([at(m) for m in range(0, 7 * DAY, 10)], name="ts").as_unit("ms")
    variables = {name: Variable(low=-9, high=9, sampling=timedelta(minutes=10)) for name in "ab"}
    histories = [
        History(
            Asset(name=name, variables=variables),
            pd.DataFrame(random.normal(size=(len(index), 2)), index, [*"ab"]),
        )
        for name in ("press-1", "press-2")
    ]

    def model(revision, limits, spacing=None):
        fitted = {
            name: FittedDetector(PLAN, space, detector, 0.0, limit, 1.0, 1.0, ())
            for name, limit in limits.items()
        }
        return AnomalyModel("detector", revision, at(0), fitted, spacing or {})

    definition = parse_definition(
        {"name": "x", "kind": "anomaly", "assets": ["press-*"], "include": include, **fields}
    )
    data = LearningData([*map(in_memory, histories)], {}, NormalTime(at(-DAY), at(0), at(7 * DAY)))
    candidates = {"detector": model(2, challenger, spacing)}
    return compare_models(definition, data, candidates, model(1, champion))


@pytest.mark.parametrize(("limit", "verdict"), [(0.5, "keep"), (0.500001, "provisional")])
def test_a_champion_of_an_earlier_release_is_compared_by_the_horizon_of_the_challenger(
    limit, verdict
):
    fields = {"problem": {"variable": "a", "above": 2}, "spacing": {"press-1": 6 * 3_600_000}}
    decision = compared({"press-1": limit}, {"press-1": 0.5}, **fields).decision
    rows = decision.evidence["compared"]
    assert "announced" in rows[3]["champion"]
    assert [row for row in rows if row["champion"] != row["challenger"]] == []
    assert decision.verdict == verdict


def test_an_asset_that_a_challenger_lost_keeps_its_detector():
    found = compared({"press-1": 9.0}, {"press-1": 8.0, "press-2": 8.0})
    assert {name: one.limit for name, one in found.model.by_asset.items()} == {
        "press-1": 9.0,
        "press-2": 8.0,
    }
    assert "press-2 has no new detector: it keeps that in service." in found.decision.details


def test_an_asset_whose_detector_cannot_be_kept_is_named_to_a_person():
    found = compared({"press-1": 9.0}, {"press-1": 8.0, "press-2": 8.0}, include=("a",))
    assert (found.decision.by_person, found.model) == (True, None)
    assert "It no longer watches press-2, which" in found.decision.reason


def test_only_assets_that_both_watch_are_compared_and_a_new_one_must_not_raise_too_many():
    found = compared({"press-1": 9.0, "press-2": 0.55}, {"press-1": 9.0})
    assert found.decision.evidence["weeks"] == pytest.approx(1, abs=0.01)
    assert found.decision.by_person
    assert "It raises too many false alarms on assets that" in found.decision.reason
    on_new = "On assets that the one in service does not watch: "
    assert re.search(rf"{on_new}\d+ false alarms\.", found.decision.details)


def test_a_blunt_detector_finds_fewer_synthetic_anomalies_and_goes_to_a_person():
    found = compared({"press-1": 9.0}, {"press-1": 0.9})
    assert found.decision.by_person
    assert "It finds fewer synthetic anomalies than the one in service." in found.decision.reason
    again = compared({"press-1": 0.92}, {"press-1": 0.9}).decision
    assert "fewer synthetic" not in again.reason


def test_every_objection_is_said_to_the_person_who_decides(monkeypatch):
    said = {}
    for objection in list_objections(GOOD, GOOD):
        monkeypatch.setattr(comparison, "list_objections", lambda *_, one=objection: {one: True})
        decision = compared({"press-1": 9.0}, {"press-1": 8.0}).decision
        said[objection] = decision.reason
        assert "of unseen normal time" in decision.details
        assert (decision.verdict, decision.by_person) == ("provisional", True)
        assert ("With `normal: " in decision.details) == (objection == "too_little_time")
    assert len({*said.values()}) == len(said)


def test_levels_are_kept_to_99_percent_where_enough_columns_stay_beside_their_components():
    steep = np.array([0.3**i for i in range(20)])  # 90 % by 2, 99 % by 4
    flat = np.ones(20)  # 90 % by 18, 99 % by 20
    cases = {
        "wide": (steep, False, 4),
        "wide, of spreads": (steep, True, 2),
        "nothing would stay beside": (flat, False, 18),
        "three would stay beside": (steep[:7], False, 2),
        "four stay beside": (steep[:8], False, 4),
    }
    counted = {
        name: count_components(variances, are_spreads=are_spreads)
        for name, (variances, are_spreads, _) in cases.items()
    }
    assert counted == {name: count for name, (_, _, count) in cases.items()}
