"""A champion with a refit, live: who scores which instant, what is explained, and what happens when
the refit gives way."""

from dataclasses import replace
from datetime import timedelta

import pytest

from alerting.usecases.evaluation.evaluate import evaluate, evaluate_past
from alerting.usecases.explain.explain import why
from alerting.usecases.training.compare import review_refit
from alerting.usecases.training.promote import model_history
from tests import small_models
from tests.helpers.learning.small_plant import NAME, decided, serve, small_plant
from tests.helpers.stores import audit_entries

pytestmark = pytest.mark.models

HOUR = timedelta(hours=1)
ASSET = "oven-1"
SINCE = small_models.START + 20 * HOUR
CUTOFF = small_models.START + 28 * HOUR  # of the refit: an instant that is scored
GAVE_WAY = small_models.START + 50 * HOUR
END = small_models.START + 60 * HOUR
DEFINITION = small_models.definition()


@pytest.fixture(scope="module")
def models():
    data = small_models.dataset(hours=60)

    def model(column, weight, cutoff):
        return small_models.linear_model(
            data.plan, data.rows, {column: weight}, training_cutoff=cutoff
        )

    twin = model("humidity.last", 2.0, SINCE - 6 * HOUR)
    refit = model("setpoint.last", 2.0, CUTOFF)
    worse = model("humidity.last", -2.0, CUTOFF)
    return {
        b"twin": twin,
        b"refit": replace(refit, training_cutoff=twin.training_cutoff),
        b"both": replace(twin, refit=refit),
        b"worse": replace(twin, refit=worse),
    }


@pytest.fixture
def plant(models, monkeypatch):
    serve(monkeypatch, models)
    monkeypatch.setattr("alerting.kinds.prediction.explanation.advise", lambda *_: None)

    def made(version, *decisions):
        return small_plant(80, decided(SINCE), *decisions, version=version)

    return made


def evaluated(platform):
    platform.clock.instant = END
    evaluate(platform, None, END)
    return {
        row["ts"]: row for row in platform.scores.for_interval(NAME, small_models.START, END + HOUR)
    }


def test_the_twin_scores_up_to_the_refits_cutoff_then_in_shadow_and_alone_after_the_refit_gave_way(
    plant,
):
    both, alone, refit = (evaluated(plant(version)) for version in (b"both", b"twin", b"refit"))
    assert both.keys() == alone.keys() == refit.keys()
    early = [t for t in both if t <= CUTOFF]
    late = [t for t in both if t > CUTOFF]
    assert CUTOFF in early
    assert min(len(early), len(late)) > 20
    assert [both[t] for t in early] == [alone[t] for t in early]
    assert [both[t]["score"] for t in late] == [refit[t]["score"] for t in late]
    assert [both[t]["twin"] for t in late] == [alone[t]["score"] for t in late]
    assert not any("twin" in row for row in alone.values())
    gave_way = evaluated(plant(b"both", decided(GAVE_WAY, "gave_way", None)))
    assert all(gave_way[t] == (both if t <= GAVE_WAY else alone)[t] for t in gave_way)


def test_an_episode_is_explained_by_the_model_that_raised_it_and_so_is_an_instant(plant):
    platform = plant(b"both")
    scores = evaluated(platform)
    episodes = platform.episodes.find(NAME)
    strongest = {(e.raised_at > CUTOFF, e.contributions[0].variable) for e in episodes}
    assert strongest == {(False, "humidity"), (True, "setpoint")}
    for instant, variable in ((CUTOFF, "air humidity"), (CUTOFF + 10 * HOUR, "oven set-point")):
        when = max(t for t in scores if t <= instant)
        found = why(platform, NAME, ASSET, when)
        assert variable in found.facts[1]
        assert found.score == scores[when]["score"]


def test_a_past_period_before_the_refits_cutoff_is_evaluated_by_the_twin(plant):
    platforms = [plant(version) for version in (b"both", b"twin")]
    raised = []
    for platform in platforms:
        platform.clock.instant = END
        evaluate_past(platform, NAME, SINCE - 5 * HOUR, CUTOFF, model="1")
        raised.append([(e.raised_at, e.evaluation) for e in platform.episodes.find(NAME)])
    assert raised[0] == raised[1] != []


def test_a_worse_refit_gives_way_once_and_everybody_can_see_why(plant):
    platform = plant(b"worse")
    platform.clock.instant = END
    too_few = review_refit(platform, DEFINITION, CUTOFF + HOUR, None)
    assert (too_few, model_history(platform, NAME)["by_twin"]) == (None, False)
    record = review_refit(platform, DEFINITION, END, None)
    said = (record.verdict, record.at, record.challenger_version, record.provisional)
    assert said == ("gave_way", END, 1, True)
    assert review_refit(platform, DEFINITION, END, None) is None
    verdicts = [d.verdict for d in platform.decisions.for_definition(NAME)]
    assert verdicts == ["provisional", "gave_way"]
    history = model_history(platform, NAME)
    told = (history["champion"], history["by_twin"], history["decisions"][-1]["reason"])
    assert told == (1, True, record.reason)
    aliases = [platform.models.alias(NAME, alias) for alias in ("champion", "previous")]
    assert aliases == [1, None]
    (why_of_audit,) = [
        entry["why"]
        for entry in audit_entries(platform)
        if entry["what"] == "refit gave way to its twin"
    ]
    assert why_of_audit == f"{record.reason} (Readings up to {END:%Y-%m-%d %H:%M} UTC.)"


def test_a_refit_that_is_no_worse_stays(plant):
    assert review_refit(plant(b"twin"), DEFINITION, END, None) is None
    platform = plant(b"worse", decided(END, "provisional", None))
    assert review_refit(platform, DEFINITION, END - HOUR, None) is None, (
        "another decision is newer than the pretended now"
    )
