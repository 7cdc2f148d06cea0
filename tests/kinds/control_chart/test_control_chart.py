"""A control chart from five lines: trained, put in service, evaluated, explained, drawn, backtested
and reported."""

import re

import pytest

from alerting.definitions.faults import TrainingRefused
from alerting.kinds.control_chart import training
from alerting.ports import ReadingRow
from alerting.usecases.evaluation.rounds import evaluate_past
from alerting.usecases.explain import why
from alerting.usecases.model_registry import load_model
from alerting.usecases.notification.episode_values import chart_of
from alerting.usecases.training.promote import model_history
from tests.builders import at
from tests.helpers.kind_life import (
    assert_past_agrees_with_live,
    evaluated,
    in_service,
    platform_with,
    trained_at,
)
from tests.helpers.press_line import ASSET, BACK, DAY, END, EVERY, SHIFTED, TRAINED, press, rows

NAME = "press-shifted"
DOCUMENT = {"name": NAME, "kind": "control_chart", "assets": [ASSET], "variable": "force"}


def trained_platform(document=DOCUMENT, readings=None):
    made = platform_with(press(), rows() if readings is None else readings, document)
    return made, trained_at(made, document["name"], TRAINED)


@pytest.fixture(scope="module")
def platform():
    return in_service(*trained_platform(), (*range(TRAINED, END, 95), END))


def test_its_limits_are_a_registered_model_with_an_account_of_phase_one(platform):
    model = load_model(platform, platform.definitions.newest_revision(NAME).definition, 1)
    fitted = model.by_asset[ASSET]
    assert fitted.chart.coefficients == pytest.approx((0.5,), abs=0.05)
    assert (fitted.chart.centre, fitted.chart.sigma) == (
        pytest.approx(200, abs=0.3),
        pytest.approx(1, abs=0.05),
    )
    assert fitted.run_length == 7 * DAY / EVERY
    champions = (
        model_history(platform, NAME)["champion"],
        platform.models.aliases(NAME).get("champion"),
    )
    assert champions == (1, 1)


def flat(*values, every=EVERY):
    """Return readings of the press over 20 days that repeat these values."""
    minutes = range(0, TRAINED, every)
    return [
        ReadingRow(ASSET, at(m), {"force": values[i % len(values)]}) for i, m in enumerate(minutes)
    ]


@pytest.mark.parametrize(
    ("readings", "reason"),
    [
        (flat(200.0), r"press-1: its [\d,]+ usable readings do not vary \(they are 200\);"),
        (flat(200.0, 201.0, every=2 * DAY), r"press-1: it has \d+ usable readings, 30 are needed;"),
    ],
)
def test_a_refusal_names_the_cause_that_it_has(readings, reason):
    with pytest.raises(TrainingRefused, match=f"no limits of force can be learned.* {reason}"):
        trained_platform(readings=readings)


def test_a_first_chart_without_an_unseen_point_waits_for_a_person(monkeypatch):
    monkeypatch.setattr(training, "_count_signals", lambda *_: training.Signals(0, 0, 0.0, 0))
    _, decided = trained_platform()
    assert (decided.objection, decided.waiting) == ("too_few_points", True)


def test_a_shift_raises_one_episode_that_names_direction_and_limit(platform):
    (episode,) = [e for e in platform.episodes.find(NAME) if e.raised_at >= at(SHIFTED)]
    assert at(SHIFTED) <= episode.raised_at <= at(SHIFTED + 60)
    assert at(BACK) <= episode.closed_at <= at(BACK + 400)
    value, limit = re.findall(r"[\d.]+(?= kN)", episode.evaluation.reason)
    assert episode.evaluation.reason == (
        f"Force has shifted up: its charted value {value} kN (EWMA of the residual) is above the "
        f"control limit {limit} kN"
    )
    assert max(len(value), len(limit)) <= len("203.2")
    assert episode.inputs["UCL"] == episode.evaluation.threshold < episode.evaluation.value
    told = why(platform, NAME, ASSET, episode.raised_at)
    assert (told.verdict, told.model_version, episode.model_version) == ("open", 1, 1)
    assert told.value == pytest.approx(episode.evaluation.value)
    assert any("residuals are charted" in fact for fact in told.facts)
    assert why(platform, NAME, ASSET, at(SHIFTED - 100)).verdict == "normal"
    statistic, readings = chart_of(platform, episode, at(END)).panels
    assert statistic.name.startswith("EWMA of the residual")
    assert {level.label for level in statistic.levels} == {"LCL", "CL", "UCL"}
    assert statistic.values.max() > episode.inputs["UCL"]
    assert readings.unit == "kN"


def test_its_past_agrees_with_live_and_the_same_training_again_keeps_the_champion(platform):
    assert_past_agrees_with_live(platform, NAME, TRAINED, END)
    again = trained_at(platform, NAME, TRAINED)
    assert (again.verdict, again.promote) == ("keep", False)


def test_a_gap_is_unknown_and_neither_raises_nor_closes(platform):
    before = [row for row in rows() if row.ts <= at(SHIFTED + 100)]
    made, _ = trained_platform(readings=before)
    counts = evaluated(made, (*range(TRAINED, SHIFTED + 200, 95), SHIFTED + 400))
    (episode,) = [e for e in made.episodes.find(NAME) if e.raised_at >= at(SHIFTED)]
    assert (episode.condition, list(counts.unknown.values())) == (
        "open",
        ["no reading of force within 1 h 40 min"],
    )


@pytest.mark.parametrize("chart", ["shewhart", "cusum"])
def test_a_shift_that_lasts_does_not_close_in_its_middle(chart):
    made, decided = trained_platform(DOCUMENT | {"chart": chart})
    assert decided.challenger_version == 1
    evaluated(made, (*range(TRAINED, END, 95), END))
    (episode,) = [e for e in made.episodes.find(NAME) if e.raised_at >= at(SHIFTED)]
    assert episode.raised_at < at(SHIFTED + 60)
    assert episode.closed_at >= at(BACK)


def test_a_training_counts_an_alarm_that_lasts_over_a_pause_once_as_live(monkeypatch):
    """A pause longer than the off-delay, without a clear point, is no end of an alarm."""
    is_away = {at(SHIFTED + minutes) for minutes in range(310, 490, EVERY)}
    readings = [row for row in rows() if row.ts not in is_away]
    made = platform_with(press(), readings, DOCUMENT)
    counted = []
    count = training._count_signals
    monkeypatch.setattr(
        training, "_count_signals", lambda *a: counted.append(count(*a)) or counted[-1]
    )
    decided = trained_at(made, NAME, END)
    version = decided.challenger_version
    definition = made.definitions.newest_revision(NAME).definition
    unseen = load_model(made, definition, version).training_cutoff
    evaluate_past(made, NAME, unseen, at(END), model=str(version))
    assert [e.raised_at > at(SHIFTED) for e in made.episodes.find(NAME)] == [True]
    assert [found.false_alarms for found in counted] == [1]
