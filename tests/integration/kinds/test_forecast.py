"""A forecast from a document: trained, put in service, evaluated, explained, drawn, backtested and reported."""

import pytest

from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.evaluation.evaluate import evaluate, evaluate_past
from alerting.usecases.notification.chart import chart_of
from alerting.usecases.operations.explain import why
from alerting.usecases.registry.registration import load_model
from alerting.usecases.reports.make import make_report
from alerting.usecases.training.train import train
from tests.builders import at
from tests.helpers.filter_line import AIR_FILTER, END, NAME, TRAINED, trained_platform


def evaluated(platform, instants):
    for minute in instants:
        platform.clock.instant = at(minute)
        counts = evaluate(platform, None, at(minute))
    return counts


@pytest.fixture(scope="module")
def platform():
    made, decided = trained_platform()
    assert (decided.promote, decided.verdict) == (True, "provisional"), decided.reason
    evaluated(made, (*range(TRAINED, END, 470), END))
    return made


def test_the_model_predicts_values_with_intervals_that_hold(platform):
    model = load_model(platform, platform.definitions.newest_revision(NAME).definition, 1)
    assert model.family == "lightgbm"


def test_episodes_are_raised_before_the_limit_and_come_true(platform):
    episodes = platform.episodes.find(NAME)
    happened = [e for e in episodes if e.happening_at is not None]
    assert len(happened) >= 3
    assert all(e.is_prediction and e.raised_at < e.happening_at for e in happened)


def test_why_and_the_page_show_risk_and_limit(platform):
    episode = platform.episodes.find(NAME)[0]
    told = why(platform, NAME, AIR_FILTER, episode.raised_at)
    assert (told.verdict, told.model_version) == ("open", 1)
    assert episode.contributions[0].variable == "pressure_drop"
    risk, drop = chart_of(platform, episode, at(END)).panels
    assert (risk.share, drop.unit, [level.value for level in drop.levels]) == (True, "Pa", [400.0])


def test_past_backtest_and_report_agree_with_live(platform):
    live = sorted((e.raised_at, e.closed_at) for e in platform.episodes.find(NAME))
    run = backtest(platform, named_subject(platform, NAME), at(TRAINED), at(END))
    assert [(e.raised_at, e.closed_at) for e in run.episodes] == live
    assert evaluate_past(platform, NAME, at(TRAINED), at(END)).raised == 0
    report = make_report(platform, NAME, at(TRAINED), at(END), at(END))
    assert sum(report.metrics["outcomes"].values()) == len(live)


def test_the_same_training_again_keeps_the_champion(platform):
    again = train(platform, NAME, at(TRAINED))
    assert (again.verdict, again.promote) == ("keep", False)
