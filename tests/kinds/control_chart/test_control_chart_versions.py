"""A new version of a control chart: what it begins with, what it leaves out, and what one moved
asset means for the others."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import Asset, Variable
from alerting.detection.carried_reading import Carried
from alerting.detection.suppressed_intervals import SuppressedInterval
from alerting.episodes.lifecycle import ConditionState
from alerting.kinds.control_chart import training
from alerting.kinds.control_chart.model import (
    Chart,
    ControlChartModel,
    FittedChart,
    from_files,
    to_files,
)
from alerting.kinds.control_chart.training import TRAINING
from alerting.kinds.registry import charting_kind_of, parse_definition
from alerting.kinds.training_protocol import LearningData, NormalTime
from alerting.ports import ReadingRow
from alerting.readings.history import to_millis
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply, current_plan
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings, route_arrivals
from tests.builders import at, history
from tests.helpers.kind_in_chunks import evaluate_part, evaluated_to, sources_of
from tests.helpers.long_history import in_memory
from tests.in_memory_platform import in_memory_platform

ASSET = Asset(name="press-1", variables={"force": Variable(low=0, high=100)})
FITTED = FittedChart(Chart("ewma", 10, 1, 1.0, smoothing=0.2), 60_000, 370, 1.0, 100, 0, ())
DEFINITION = parse_definition(
    {
        "name": "x",
        "kind": "control_chart",
        "assets": ["press-1"],
        "variable": "force",
        "suppression": {"when": [{"event": "line-stop"}]},
    }
)


def charted(values, start, end, version=1, before=None, suppressed=()):
    """Chart one reading a minute, from minute 1 on, in one part."""
    rows = [ReadingRow("press-1", at(m), {"force": v}) for m, v in enumerate(values, 1)]
    sources = sources_of(
        ASSET, rows, ControlChartModel("ewma", 1, at(0), {"press-1": FITTED}), suppressed
    )
    return evaluate_part(
        DEFINITION, sources(), before or ConditionState(watermark=at(start)), end, version
    )


VALUES = [10 + 0.05 * (m % 7) for m in range(200)]


def test_a_new_version_begins_with_the_readings_before_it():
    first = charted(VALUES, 0, 150)
    again = charted(VALUES, 150, 200, version=2, before=first.state)
    going_on = charted(VALUES, 150, 200, version=1, before=first.state)
    assert again.scores[0].score == pytest.approx(going_on.scores[0].score, abs=1e-6)
    # of an empty chart
    assert again.scores[0].score[0] != pytest.approx(10 + 0.2 * (VALUES[150] - 10), abs=0.001)


def test_readings_of_suppressed_times_are_not_charted():
    stopped = [*VALUES[:50], *[90.0] * 20, *VALUES[70:]]
    found = charted(stopped, 0, 200, suppressed=[SuppressedInterval(at(50.5), at(70.5), "stopped")])
    assert len(found.scores[0].at) == 180
    assert [step.kind for step, _ in found.steps] == []
    assert [step.kind for step, _ in charted(stopped, 0, 200).steps][:1] == ["raised"]


def test_the_chart_of_the_last_days_has_the_points_and_signals_of_live_evaluation():
    chart = Chart("shewhart", 10, 1, 1.0, rules=("western_electric_1", "western_electric_4"))
    shifted = [10 - 0.3 * (-1) ** m + 0.4 * (m > 120) + 4 * (m == 90) for m in range(1, 201)]
    rows = [ReadingRow("press-1", at(m), {"force": v}) for m, v in enumerate(shifted, 1)]
    document = {"rules": chart.rules, "average_run_length": 200, "chart": "shewhart"}
    definition = DEFINITION.model_copy(update=document)
    fitted = {"press-1": replace(FITTED, chart=chart)}
    sources = sources_of(ASSET, rows, ControlChartModel("shewhart", 1, at(0), fitted))
    live = evaluate_part(definition, sources(), ConditionState(watermark=at(0)), 200).scores[0]
    panel = charting_kind_of(definition).chart_last_days(definition, sources(), 1, at(200))
    assert (panel.at.tolist(), panel.values.tolist()) == (live.at.tolist(), live.score.tolist())
    assert [(level.label, level.value) for level in panel.levels[:3]] == [
        ("LCL", 7), ("CL", 10), ("UCL", 13)
    ]  # fmt: skip
    ((rule, (instants, _)),) = panel.signals.items()  # a point beyond the limit is seen as such
    assert "8 points in a row" in rule
    assert instants.tolist() == [to_millis(at(m)) for m in range(128, 201)]
    dense = [ReadingRow("press-1", at(200 - m / 60), {"force": 10.4}) for m in range(6_000)]
    often = sources_of(ASSET, dense[::-1], ControlChartModel("shewhart", 1, at(0), fitted))
    panel = charting_kind_of(definition).chart_last_days(definition, often(), 1, at(200))
    assert len(panel.at) == 5_000, "readings that come far more often than when it learned"
    ((_, (instants, _)),) = panel.signals.items()
    assert instants[0] == panel.at[0], "the readings before them count, as live"
    stranger = ASSET.model_copy(update={"name": "press-2"})
    unknown = replace(sources(), asset=stranger)
    assert charting_kind_of(definition).chart_last_days(definition, unknown, 1, at(200)) is None


def unseen(points, *names):
    """Return quiet readings of some presses, one a minute, after a normal period of an hour."""
    minutes = range(61, 61 + points)
    assets = [ASSET.model_copy(update={"name": name}) for name in names]
    histories = [
        history(minutes, asset, force=[10 + 0.05 * (m % 7) for m in minutes]) for asset in assets
    ]
    return LearningData(
        [*map(in_memory, histories)], {}, NormalTime(at(0), at(60), at(60 + points))
    )


NARROWER = replace(FITTED, chart=replace(FITTED.chart, limit=0.9))
MOVED = replace(FITTED, chart=replace(FITTED.chart, centre=15))


def compared(unseen_data, champion, challenger):
    """Return the comparison of the charts of a challenger with those in service, by asset."""
    served = None if champion is None else ControlChartModel("ewma", 1, at(0), champion)
    new = ControlChartModel("ewma", 2, at(60), challenger)
    return TRAINING.compare(DEFINITION, unseen_data, {"ewma": new}, served)


def test_an_asset_without_new_limits_keeps_those_in_service_and_is_not_counted():
    restless = replace(FITTED, chart=replace(FITTED.chart, limit=0.001))
    found = compared(
        unseen(200, "press-1", "press-2", "press-3"),
        {"press-1": restless, "press-2": FITTED},
        {"press-2": NARROWER, "press-3": NARROWER},
    )
    assert found.model.by_asset == {"press-1": restless, "press-2": NARROWER, "press-3": NARROWER}
    words = "press-1: it has 0 usable readings, 30 are needed; its limits in service stay."
    assert words in found.decision.details
    assert (found.decision.verdict, found.decision.by_person) == ("promote", False)
    rows = {row["title"]: row for row in found.decision.evidence["compared"]}
    sides = {
        title: (rows[title]["champion"], rows[title]["challenger"])
        for title in ("unseen points", "signals on unseen time")
    }
    assert sides == {"unseen points": ("200", "200"), "signals on unseen time": ("0", "0")}
    assert found.metrics["unseen points"] == 400.0


def test_next_to_no_unseen_points_are_no_proof_and_a_person_decides_but_on_the_first_version():
    few = "184 unseen points; about 185 needed."
    table = {0: (True, False), 184: (True, True), 185: (False, False)}  # of a run length of 370
    decided = {
        points: compared(unseen(points, "press-1"), {"press-1": FITTED}, {"press-1": NARROWER})
        for points in table
    }
    assert {
        points: (one.decision.by_person, few in one.decision.details)
        for points, one in decided.items()
    } == table
    assert all(one.decision.promote for one in decided.values())
    first = compared(unseen(5, "press-1"), None, {"press-1": NARROWER})
    assert (first.decision.verdict, first.decision.by_person) == ("provisional", False)


def test_one_moved_asset_keeps_its_limits_and_a_person_decides_only_where_all_have_moved():
    found = compared(
        unseen(200, "press-2"),
        {"press-1": FITTED, "press-2": FITTED},
        {"press-1": MOVED, "press-2": NARROWER},
    )
    assert (found.decision.promote, found.decision.by_person) == (True, False)
    assert "On press-1 the level has moved from 10 to 15" in found.decision.details
    assert "its limits stay" in found.decision.details
    assert found.model.by_asset == {"press-1": FITTED, "press-2": NARROWER}
    data = LearningData([], {}, NormalTime(at(0), at(60), at(90)))
    all_moved = compared(data, {"press-1": FITTED}, {"press-1": MOVED})
    decided = all_moved.decision
    assert (decided.promote, decided.by_person, all_moved.model) == (True, True, None)


@pytest.mark.parametrize(
    ("lasting", "said"),
    [(60, "Its signals last for 60 % of the points"), (9, "It has too many signals at points")],
)
def test_signals_that_are_too_many_or_last_wait_for_a_person(monkeypatch, lasting, said):
    signals = training.Signals(9, 100, 1.0, lasting)
    monkeypatch.setattr(training, "_count_signals", lambda *_: signals)
    decided = compared(unseen(5, "press-1"), None, {"press-1": NARROWER}).decision
    assert (decided.verdict, decided.by_person) == ("provisional", True)
    assert said in decided.reason


@pytest.mark.parametrize("points", [20, 9000])
@pytest.mark.parametrize("served", [None, {"press-1": FITTED}])
@pytest.mark.parametrize(("leads", "waits"), [((), True), ((-60.0,), False)])
def test_limits_that_find_none_of_the_known_problems_wait_for_a_person(
    monkeypatch, points, served, leads, waits
):
    signals = training.Signals(0, points, points / 370, 0, problems=4, leads_s=leads)
    monkeypatch.setattr(training, "_count_signals", lambda *_: signals)
    decided = compared(unseen(5, "press-1"), served, {"press-1": NARROWER}).decision
    few_beside_a_champion = points < 185 and served is not None
    assert decided.promote
    assert decided.by_person == (waits or few_beside_a_champion)
    assert (decided.objection == "finds_no_problem") == waits
    assert ("0 of 4 problems found." in decided.details) == waits


def test_late_readings_of_the_line_reach_the_chart_of_a_press_that_they_suppress():
    platform = in_memory_platform()
    line = Asset(name="line", variables={"speed": Variable()})
    platform.assets.store_assets([line, ASSET.model_copy(update={"parent": "line"})])
    when = {"when": [{"variable": "speed", "below": 1}]}
    document = {
        "name": "x",
        "kind": "control_chart",
        "assets": ["press-1"],
        "variable": "force",
        "suppression": when,
    }
    apply(platform, [document], "engineer", at(0), "test")
    evaluate(platform, None, at(600))
    platform.clock.instant = at(600)
    add_readings(
        platform, [ReadingRow("line", at(m), {"speed": 0.0}) for m in range(100, 110)], at(600)
    )
    assert route_arrivals(platform, current_plan(platform).targets, at(601)).late == 10


CHARTS = {
    "ewma": Chart("ewma", 10, 1, 1.5, smoothing=0.3),
    "ewma of residuals": Chart("ewma", 10, 1, 1.5, (0.4, 0.2), smoothing=0.3),
    "cusum": Chart("cusum", 10, 1, 1.5, allowance=0.5),
    "shewhart": Chart(
        "shewhart",
        10,
        1,
        0.6,
        rules=("western_electric_2", "western_electric_4", "nelson_3", "nelson_4"),
    ),
    "subgroups": Chart("shewhart", 10, 1, 0.5, rules=("nelson_1",), subgroup=3, spread=(0.1, 1.5)),
}
IN_CHUNKS = parse_definition(
    {
        "name": "x",
        "kind": "control_chart",
        "assets": ["press-1"],
        "variable": "force",
        "clear_for": "2m",
        "stale_after": "5m",
    }
)
READINGS = st.lists(
    st.tuples(st.sampled_from([1, 1, 1, 2, 7]), st.one_of(st.floats(7, 13), st.just(999.0))),
    min_size=5,
    max_size=60,
)


def model_of(chart):
    fitted = FittedChart(chart, 60_000, 370, 1.0, 100, 0, ())
    return from_files(to_files(ControlChartModel("x", 1, at(3), {"press-1": fitted})))


def evaluated_in_chunks(chart, readings, cuts):
    """Evaluate to each cut; the state goes through the table that is stored."""
    minutes = np.cumsum([gap for gap, _ in readings]).tolist()
    rows = [
        ReadingRow("press-1", at(m), {"force": v})
        for m, (_, v) in zip(minutes, readings, strict=True)
    ]
    return evaluated_to(IN_CHUNKS, sources_of(ASSET, rows, model_of(chart)), cuts)


@pytest.mark.parametrize("name", CHARTS)
@settings(max_examples=40, deadline=timedelta(seconds=5))
@given(readings=READINGS, cuts=st.lists(st.floats(0.5, 200), max_size=8))
def test_live_in_any_chunks_gives_the_same_bits_as_one_batch(name, readings, cuts):
    end = sum(gap for gap, _ in readings) + 10.0
    assert evaluated_in_chunks(
        CHARTS[name], readings, [*sorted(c for c in cuts if c < end), end]
    ) == evaluated_in_chunks(CHARTS[name], readings, [end])


def test_a_stored_state_that_cannot_be_read_stops_its_own_target_alone():
    state = ConditionState(
        watermark=at(5), carried=Carried("force", at(5), 10.0, memory=(1.0, 0.0, 3.0))
    )
    found = evaluate_part(IN_CHUNKS, sources_of(ASSET, [], model_of(CHARTS["ewma"]))(), state, 9)
    assert (found.state, found.steps) == (state, [])
    assert found.unreadable.startswith("force cannot be charted: ")


def test_the_same_limits_stay_though_those_of_an_earlier_release_have_no_spacing():
    served = ControlChartModel("ewma", 1, at(60), {"press-1": FITTED})
    again = replace(served, revision=2, spacing_ms={"press-1": 3_600_000})
    compared_again = TRAINING.compare(DEFINITION, unseen(200, "press-1"), {"ewma": again}, served)
    assert compared_again.decision.verdict == "keep"
