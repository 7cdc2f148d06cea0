"""A forecast from a document: trained, put in service, evaluated, explained, drawn, backtested and
reported."""

from dataclasses import replace
from datetime import UTC, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.console.web.chart import chart_shape
from alerting.definitions.wording.spoken import spoken_duration
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import ConditionTable
from alerting.readings.history import to_millis
from alerting.usecases.definitions.versions import segments
from alerting.usecases.evaluation.target import evaluate_parts
from alerting.usecases.explain.explain import why
from alerting.usecases.notification.chart import chart_of
from alerting.usecases.registry.registration import ModelCache, load_model
from tests.builders import at
from tests.helpers.filter_line import (
    AIR_FILTER,
    END,
    NAME,
    TRAINED,
    filter_platform,
    readings,
    trained_platform,
)
from tests.helpers.kind_life import assert_past_agrees_with_live, evaluated, trained_at

pytestmark = pytest.mark.models

BEGUN = at(TRAINED)


@pytest.fixture(scope="module")
def platform():
    made, decided = trained_platform()
    assert (decided.promote, decided.verdict) == (True, "provisional"), decided.reason
    (error,) = [note for note in decided.test["notes"] if note.startswith("on the test period")]
    assert " times ahead; the median is off by " in error
    assert error.endswith("; a report grades the values of the nearest time alone")
    evaluated(made, (*range(TRAINED, END, 2 * 470), END))
    return made


def test_episodes_are_raised_before_the_limit_and_come_true(platform):
    model = load_model(platform, platform.definitions.newest_revision(NAME).definition, 1)
    assert model.family == "boosted_trees"
    happened = [e for e in platform.episodes.find(NAME) if e.happening_at is not None]
    assert len(happened) >= 3
    assert all(e.is_prediction and e.raised_at < e.happening_at for e in happened)


def test_why_and_the_page_show_risk_and_limit(platform):
    episode = platform.episodes.find(NAME)[0]
    told = why(platform, NAME, AIR_FILTER, episode.raised_at)
    assert (told.verdict, told.model_version) == ("open", 1)
    assert told.facts[1].startswith("forecast of pressure_drop in 1 h 15 min: ")
    (left,) = [
        fact for fact in told.facts if fact.startswith("the median leaves its limit in about ")
    ]
    assert episode.contributions[0].variable == "pressure_drop"
    risk, drop = chart_of(platform, episode, at(END)).panels
    assert (risk.share, drop.unit, [level.value for level in drop.levels]) == (True, "Pa", [400.0])
    window = platform.definitions.newest_revision(NAME).definition.window
    assert drop.fan.at[-1] == to_millis(episode.raised_at + window.until)
    assert (np.diff([drop.fan.low, drop.fan.middle, drop.fan.high], axis=0) >= 0).all()
    assert to_millis(episode.raised_at) < drop.fan.crossing < to_millis(episode.valid_until)
    minutes = round((drop.fan.crossing - to_millis(episode.raised_at)) / 60_000)
    assert left.removeprefix("the median leaves its limit in about ") == spoken_duration(
        timedelta(minutes=minutes)
    )
    shape = chart_shape(chart_of(platform, episode, at(END)), UTC)
    assert (shape["panels"][0]["fan"], shape["panels"][1]["fan"]["area"][0]) == (None, "M")
    assert "ahead" in [moment["kind"] for moment in shape["moments"]]


def test_its_past_agrees_with_live_and_the_same_training_again_keeps_the_champion(platform):
    assert_past_agrees_with_live(platform, NAME, TRAINED, END)
    again = trained_at(platform, NAME, TRAINED)
    assert (again.verdict, again.promote) == ("keep", False)


def test_a_dead_sensor_is_unknown_and_closes_no_open_episode(platform):
    episode = next(e for e in platform.episodes.find(NAME) if e.happening_at is not None)
    begun = episode.raised_at
    rows = [
        row if row.ts <= begun else replace(row, values={"air_flow": row.values["air_flow"]})
        for row in readings()
    ]
    dead = replace(platform, readings=filter_platform(rows).readings)
    told = why(dead, NAME, AIR_FILTER, begun + timedelta(hours=3, minutes=40))
    assert (told.verdict, told.answer) == (
        "unknown",
        "cannot tell: Pressure drop across the air filter is not known: it has no value of the "
        "last 3 h",
    )
    until = episode.valid_until - timedelta(minutes=1)
    steps, _ = evaluated_to(dead, [until], since=begun - timedelta(hours=1))
    assert [step.kind for step in steps] == ["raised"]


def evaluated_to(platform, cuts, since=BEGUN):
    """Return steps and scores of an evaluation that writes nothing, cut at these instants; the
    state is stored between."""
    revisions = platform.definitions.revisions(NAME)
    decisions = platform.decisions.for_definition(NAME)
    models = ModelCache(platform)
    asset = platform.assets.get(AIR_FILTER)
    state = ConditionState(watermark=since)
    steps = []
    scores = []
    for until in cuts:
        found = evaluate_parts(
            platform, models, asset, state, segments(revisions, decisions, state.watermark, until)
        )
        table = ConditionTable([(NAME, AIR_FILTER)])
        table.write_state(0, found.state)
        state = table.state(0)
        steps += [step for step, _ in found.steps]
        scores += [
            pair
            for part in found.scores
            for pair in zip(part.at.tolist(), part.score.tolist(), strict=True)
        ]
    return steps, [pair for pair in scores if pair[1] == pair[1]]


@settings(max_examples=5, deadline=None)
@given(cuts=st.sets(st.integers(TRAINED + 1, TRAINED + 2 * 24 * 60 - 1), max_size=6))
def test_live_in_any_chunks_gives_the_same_bits_as_one_batch(platform, cuts):
    instants = [at(minute) for minute in (*sorted(cuts), TRAINED + 2 * 24 * 60)]
    steps, scores = evaluated_to(platform, instants[-1:])
    assert {step.kind for step in steps} >= {"raised", "happening"}
    assert evaluated_to(platform, instants) == (steps, scores)


def test_nothing_known_later_is_used(platform):
    known = platform
    later = filter_platform([row for row in readings() if row.ts <= at(TRAINED)])
    trained_at(later, NAME, TRAINED)
    models = [
        load_model(one, one.definitions.newest_revision(NAME).definition, 1)
        for one in (known, later)
    ]
    assert models[0].hash == models[1].hash
    assert models[0].refit.hash == models[1].refit.hash
