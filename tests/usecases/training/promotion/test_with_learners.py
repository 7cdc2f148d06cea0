"""Trainings after the first champion, with the real learners: what is promoted, what a refit puts
into service, and what answers while the question changes; a champion with a refit, live: who scores
which instant, what is explained, and what happens when the refit gives way."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from alerting.definitions.revisions import question_of
from alerting.episodes.episode import Feedback
from alerting.episodes.evaluation_plan import ConditionTable
from alerting.episodes.lifecycle import ConditionState
from alerting.learning.models.model_files import REFIT
from alerting.ports import ReadingRow
from alerting.reporting.definition.decision_text import result_line
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.definitions.versions import champion_at
from alerting.usecases.evaluation.rounds import evaluate, evaluate_past
from alerting.usecases.explain import why
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.model_registry import ModelCache
from alerting.usecases.operators.operate import give_feedback
from alerting.usecases.training.compare import compare_run, review_refit
from alerting.usecases.training.due import find_due_trainings
from alerting.usecases.training.promote import model_history, promote_run, rollback
from alerting.usecases.training.run_files import read_proposal
from alerting.usecases.training.training_steps import fit, prepare, train
from tests import small_models
from tests.builders import at, classifier
from tests.helpers.learning.small_plant import decided, serve, small_plant
from tests.helpers.learning.stored_platforms import stored_platform
from tests.helpers.refusals import assert_refused
from tests.helpers.stores import audit_entries
from tests.humid_line import ASSET, DAY, EVERY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models
FEW = {"least_events": 1000}  # so that no comparison can tell
BETTER = {"sensor_from": 3}


def trained_plant(day, of_line, changes):
    platform = in_memory_platform()
    platform.assets.store_assets([humid_oven()])
    add_readings(platform, line(**of_line), at(0))
    apply(platform, [learned_quickly(**changes)], "engineer", at(0), "test")
    platform.clock.instant = at(12 * DAY)
    train(platform, NAME, at(day * DAY))
    return platform


def plant(day=6, of_line=None, **changes):
    """Return a platform of its own for each test, with a champion trained on this day."""
    platform = stored_platform(trained_plant, day, of_line or {}, changes)
    (first,) = platform.decisions.for_definition(NAME)
    assert first.verdict == "provisional"
    return platform


def tags(platform, version):
    return platform.models.version_tags(NAME, version)


def twins(platform, *versions):
    return [tags(platform, version)["model_hash"] for version in versions]


def cutoff(platform, version):
    return datetime.fromisoformat(tags(platform, version)["refit_cutoff"])


def aliases(platform):
    return tuple(platform.models.aliases(NAME).get(alias) for alias in ("champion", "previous"))


def proposed(platform, as_of):
    """Everything of a training but its promotion."""
    run_id = prepare(platform, NAME, as_of)
    for family in platform.definitions.newest_revision(NAME).definition.families:
        fit(platform, run_id, family)
    return compare_run(platform, run_id)


def test_a_challenger_trained_on_better_data_is_promoted_and_a_rollback_is_what_evaluation_uses():
    platform = plant(3, BETTER)
    result = train(platform, NAME, at(12 * DAY))
    assert (result.verdict, result.promote) == ("promote", True)
    assert result.reason == "It ranked better on 18 problems that neither model had seen."
    rows = result.evidence["rows"]
    assert rows["challenger"]["ap"] > rows["champion"]["ap"] + 0.1
    assert aliases(platform) == (2, 1)

    platform.clock.instant = rolled_back = at(12 * DAY + 60)
    rollback(platform, NAME, "humidity sensor goes to calibration", "ann")
    values = {"dough": 50.0, "moisture": 3.5, "humidity": 40.0}
    later = [ReadingRow(ASSET, at(12 * DAY + m), values) for m in range(10, 121, EVERY)]
    add_readings(platform, later, at(12 * DAY))
    evaluated = ConditionTable([(NAME, ASSET)])
    evaluated.write_state(0, ConditionState(watermark=at(12 * DAY)))
    platform.states.advance(ConditionTable([(NAME, ASSET)]), evaluated)
    evaluate(platform, None, at(12 * DAY + 120))
    scores = platform.scores.for_interval(NAME, at(12 * DAY + 5), at(12 * DAY + 119))
    assert {(row["ts"] > rolled_back, row["model_version"]) for row in scores} == {
        (False, 2),
        (True, 1),
    }


def test_a_comparison_as_of_an_instant_knows_nothing_of_what_people_said_later():
    platform = plant(3, BETTER)
    evaluate(platform, None, at(12 * DAY))
    episodes = [e for e in platform.episodes.find(NAME) if e.raised_at < at(11.9 * DAY)]
    last = max(episodes, key=lambda e: e.raised_at)
    said = (last.id, "true_alarm", True, "opened the flap", None, "ann", at(12 * DAY + 30))
    give_feedback(platform, Feedback(*said, last.raised_at + timedelta(minutes=5)))
    before, after = (proposed(platform, at(12 * DAY + minutes)) for minutes in (0, 40))
    assert before.evidence["acted_rows"] == 0 < after.evidence["acted_rows"]


def test_the_run_tells_its_decision_where_people_look_first():
    platform = plant()
    run = platform.decisions.for_definition(NAME)[0].run_id
    text = platform.runs.files(run, "decision")["decision.md"].decode()
    assert text.startswith(
        "# too-moist: The first model goes into service\n\nIt ranks better than chance."
    )
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## Candidates",
        "## Threshold",
        "## Test period",
        "## Variables that it uses",
        "## Data",
    ]
    assert "| logistic regression | " in text
    tags = platform.runs.tags(run)
    title, rest = text.split("\n", 1)
    assert tags["mlflow.note.content"] == f"**{title.removeprefix('# ')}**\n{rest}"[:5000]
    assert (tags["decision"], tags["revision"]) == ("provisional", "1")


def test_a_champion_that_is_lost_is_a_platform_alert_and_only_a_person_replaces_it():
    platform = plant()
    platform.models.registered[NAME][0].files.clear()
    counts = evaluate(platform, None, at(7 * DAY))
    assert "version 1 in the registry is damaged" in counts.unknown[f"{NAME} on {ASSET}"]
    (alert,) = platform.platform_alerts.open()
    said = (alert.kind, alert.subject, alert.opened_at)
    assert said == ("champion unreadable", NAME, at(7 * DAY))
    evaluate(platform, None, at(7 * DAY + 5))
    assert platform.platform_alerts.open() == [alert]
    waiting = train(platform, NAME, at(12 * DAY))
    assert waiting.waiting
    assert "version 1, cannot be read" in waiting.reason
    assert len(platform.decisions.for_definition(NAME)) == 1


def test_the_first_champion_serves_as_a_refit_and_every_printed_figure_is_its_twins():
    with_refit = plant()
    without = plant(periods={"refit": "none"})
    told = []
    for platform in (with_refit, without):
        result = read_proposal(platform.runs, platform.decisions.for_definition(NAME)[0].run_id)
        told.append((result.test, result.reason, twins(platform, 1)))
    assert told[0] == told[1]
    assert at(5.9 * DAY) < cutoff(with_refit, 1) <= at(6 * DAY)
    files, of_twin = (p.models.model_files(NAME, 1).keys() for p in (with_refit, without))
    assert {n for n in files if not n.startswith(REFIT)} == of_twin
    evaluate(with_refit, None, at(7 * DAY))
    assert all(
        "twin" in row for row in with_refit.scores.for_interval(NAME, at(6 * DAY), at(7 * DAY))
    )


def test_a_champion_that_stays_is_refitted_on_newer_rows_with_the_same_twin_and_recipe():
    platform = plant(promotion=FEW)
    (first,) = platform.decisions.for_definition(NAME)
    result = train(platform, NAME, at(9 * DAY))
    assert (result.verdict, result.promote) == ("refreshed", True)
    assert (result.challenger_version, result.refreshed_version) == (2, 3)
    assert result.reason.endswith("as version 3.")
    assert result.details.startswith("The challenger did not replace it: Whether it is ")
    assert result_line(result).startswith(
        f"The champion stays, refitted on the newest data. {result.reason} The challenger did"
    )
    cutoffs = [tags(platform, version)["training_cutoff"] for version in (1, 3)]
    assert cutoffs[0] == cutoffs[1]
    assert at(8.9 * DAY) < cutoff(platform, 3) <= at(9 * DAY)
    assert "refit_cutoff" not in tags(platform, 2), "a refused challenger never serves"
    decided = platform.decisions.for_definition(NAME)[-1]
    said = (decided.challenger_version, decided.champion_version, decided.provisional)
    assert said == (3, 1, True)
    assert aliases(platform) == (3, 1)
    history = model_history(platform, NAME)
    assert (history["training"]["run_id"], history["unfinished"]) == (result.run_id, None)
    model = ModelCache(platform).get(classifier(), 3)
    served = (model.refit.plan, model.refit.threshold, model.refit.calibration)
    assert served == (model.plan, model.threshold, model.calibration)
    rollback(platform, NAME, "the newest days were a trial", "ann")
    assert champion_at(platform.decisions.for_definition(NAME), at(13 * DAY), None) == 1

    platform.clock.instant = at(12 * DAY + 1)
    assert train(platform, NAME, at(10 * DAY)).refreshed_version == 5
    assert [tags(platform, v).get("search_run") for v in (1, 3, 5)] == [
        None,
        first.run_id,
        first.run_id,
    ]
    assert len(set(twins(platform, 1, 3, 5))) == 1
    assert cutoff(platform, 1) < cutoff(platform, 3) < cutoff(platform, 5)


def test_a_training_killed_after_the_registration_of_a_refit_registers_it_once():
    platform = plant(promotion=FEW)
    first = proposed(platform, at(9 * DAY))
    assert compare_run(platform, first.run_id) == first
    assert list(platform.models.versions(NAME)) == [1, 2, 3]
    promote_run(platform, first.run_id)
    promote_run(platform, first.run_id)
    assert [d.verdict for d in platform.decisions.for_definition(NAME)] == [
        "provisional",
        "refreshed",
    ]


def test_where_promotions_need_approval_a_newer_refit_waits_for_it_too():
    platform = plant(promotion=FEW)
    asked = platform.definitions.documents()[0] | {"promotion": {**FEW, "mode": "approval"}}
    apply(platform, [asked], "engineer", at(7 * DAY), "a person decides")
    waiting = train(platform, NAME, at(9 * DAY))
    assert (waiting.verdict, waiting.waiting) == ("refreshed", True)
    assert platform.models.aliases(NAME).get("champion") == 1
    promote_run(platform, waiting.run_id, approved_by="ann", rejected_reason="not before the audit")
    assert platform.models.aliases(NAME).get("champion") == 1


@pytest.mark.parametrize(
    ("change", "verdict", "champion"),
    [({"horizon": "40m"}, "provisional", 2), ({"periods": {"refit": "none"}}, "cannot_tell", 1)],
)
def test_a_champion_of_another_question_or_one_that_wants_no_refit_is_not_refitted(
    change, verdict, champion
):
    platform = plant(promotion=FEW)
    apply(
        platform, [platform.definitions.documents()[0] | change], "engineer", at(7 * DAY), "changed"
    )
    result = train(platform, NAME, at(9 * DAY))
    assert (result.verdict, result.refreshed_version) == (verdict, None)
    assert platform.models.aliases(NAME).get("champion") == champion


@pytest.fixture
def asked_anew():
    """A plant whose question is changed a day after the training, on the day after that."""
    platform = plant()
    longer = learned_quickly(horizon="45m", title="Far ahead")
    apply(platform, [longer], "engineer", at(7 * DAY), "look further ahead")
    platform.clock.instant = at(8 * DAY)
    return platform


def raised_in(platform, start, end):
    """Return the episodes raised in these days, and their revisions, models and titles."""
    found = [
        e for e in platform.episodes.find(NAME) if at(start * DAY) < e.raised_at <= at(end * DAY)
    ]
    return found, {(e.revision, e.model_version, e.title) for e in found}


def test_the_revision_before_goes_on_with_its_own_champion_and_words_until_the_new_question_has_one(
    asked_anew,
):
    platform = asked_anew
    first, second = platform.definitions.revisions(NAME)
    assert [d.definition for d in find_due_trainings(platform, at(8 * DAY))] == [NAME]
    evaluate(platform, None, at(8 * DAY))
    waiting, of_first = raised_in(platform, 7, 8)
    said = "answers revision 1; revision 2 is being trained"
    assert of_first == {(1, 1, first.definition.title or NAME)}
    assert all(said in e.evaluation.reason for e in waiting)
    assert {
        row["model_version"] for row in platform.scores.for_interval(NAME, at(7 * DAY), at(8 * DAY))
    } == {1}
    assert model_history(platform, NAME)["answers"] == said
    assert said in why(platform, NAME, ASSET, at(7.5 * DAY)).facts

    decided = train(platform, NAME, at(8 * DAY))
    assert (decided.verdict, decided.champion_version) == ("provisional", None), (
        "no champion answers the new question"
    )
    asked = question_of(second)
    assert asked != question_of(first)
    assert platform.decisions.for_definition(NAME)[-1].question == asked
    assert tags(platform, 2)["question"] == asked
    assert platform.models.aliases(NAME).get("champion") == 2
    assert find_due_trainings(platform, at(8 * DAY)) == []
    platform.clock.instant = at(10 * DAY)
    evaluate(platform, None, at(10 * DAY))
    after, of_second = raised_in(platform, 8, 10)
    assert of_second == {(2, 2, "Far ahead")}
    assert not any("is being trained" in e.evaluation.reason for e in after)
    assert model_history(platform, NAME)["answers"] is None
    assert_refused("all of the present question", rollback, platform, NAME, "test", "ann", to=1)


def test_an_old_question_whose_variable_is_gone_is_unknown_with_that_reason(asked_anew):
    oven = humid_oven()
    left = {name: v for name, v in oven.variables.items() if name != "moisture"}
    asked_anew.assets.store_assets([oven.model_copy(update={"variables": left})])
    assert evaluate(asked_anew, None, at(8 * DAY)).unknown == {
        f"{NAME} on {ASSET}": "until revision 2 is trained, revision 1 answers, which needs "
        "moisture, and humid-oven has no such variable any more"
    }
    assert raised_in(asked_anew, 7, 8)[0] == []


def test_past_times_are_evaluated_by_the_champion_of_the_named_revisions_question(asked_anew):
    times = at(6 * DAY), at(7 * DAY)
    assert evaluate_past(asked_anew, NAME, *times, revision="1").raised
    assert_refused(
        "no champion for the question of revision 2",
        evaluate_past,
        asked_anew,
        NAME,
        *times,
        revision="2",
    )


HOUR = timedelta(hours=1)
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
    return {
        b"twin": twin,
        b"refit": replace(refit, training_cutoff=twin.training_cutoff),
        b"both": replace(twin, refit=refit),
        b"worse": replace(twin, refit=model("humidity.last", -2.0, CUTOFF)),
    }


@pytest.fixture
def twin_plant(models, monkeypatch):
    serve(monkeypatch, models)
    monkeypatch.setattr("alerting.kinds.prediction_kind.advise", lambda *_: None)

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
    twin_plant,
):
    both, alone, refit = (evaluated(twin_plant(name)) for name in (b"both", b"twin", b"refit"))
    assert both.keys() == alone.keys() == refit.keys()
    early = [t for t in both if t <= CUTOFF]
    late = [t for t in both if t > CUTOFF]
    assert CUTOFF in early
    assert min(len(early), len(late)) > 20
    assert [both[t] for t in early] == [alone[t] for t in early]
    assert [both[t]["score"] for t in late] == [refit[t]["score"] for t in late]
    assert [both[t]["twin"] for t in late] == [alone[t]["score"] for t in late]
    assert not any("twin" in row for row in alone.values())
    gave_way = evaluated(twin_plant(b"both", decided(GAVE_WAY, "gave_way", None)))
    assert all(gave_way[t] == (both if t <= GAVE_WAY else alone)[t] for t in gave_way)


def test_an_episode_is_explained_by_the_model_that_raised_it_and_so_is_an_instant(twin_plant):
    platform = twin_plant(b"both")
    scores = evaluated(platform)
    strongest = {
        (e.raised_at > CUTOFF, e.contributions[0].variable) for e in platform.episodes.find(NAME)
    }
    assert strongest == {(False, "humidity"), (True, "setpoint")}
    for instant, variable in ((CUTOFF, "air humidity"), (CUTOFF + 10 * HOUR, "oven set-point")):
        when = max(t for t in scores if t <= instant)
        found = why(platform, NAME, "oven-1", when)
        assert variable in found.facts[1]
        assert found.score == scores[when]["score"]


def test_a_past_period_before_the_refits_cutoff_is_evaluated_by_the_twin(twin_plant):
    platforms = [twin_plant(version) for version in (b"both", b"twin")]
    raised = []
    for platform in platforms:
        platform.clock.instant = END
        evaluate_past(platform, NAME, SINCE - 5 * HOUR, CUTOFF, model="1")
        raised.append([(e.raised_at, e.evaluation) for e in platform.episodes.find(NAME)])
    assert raised[0] == raised[1] != []


def test_a_worse_refit_gives_way_once_and_everybody_can_see_why(twin_plant):
    platform = twin_plant(b"worse")
    platform.clock.instant = END
    too_few = review_refit(platform, DEFINITION, CUTOFF + HOUR, None)
    assert (too_few, model_history(platform, NAME)["by_twin"]) == (None, False)
    record = review_refit(platform, DEFINITION, END, None)
    said = (record.verdict, record.at, record.challenger_version, record.provisional)
    assert said == ("gave_way", END, 1, True)
    assert review_refit(platform, DEFINITION, END, None) is None
    assert [d.verdict for d in platform.decisions.for_definition(NAME)] == [
        "provisional",
        "gave_way",
    ]
    history = model_history(platform, NAME)
    told = (history["champion"], history["by_twin"], history["decisions"][-1]["reason"])
    assert told == (1, True, record.reason)
    assert aliases(platform) == (1, None)
    (why_of_audit,) = [
        entry["why"]
        for entry in audit_entries(platform)
        if entry["what"] == "refit gave way to its twin"
    ]
    assert (
        why_of_audit
        == f"{record.reason} {record.details} (Readings up to {END:%Y-%m-%d %H:%M} UTC.)"
    )


def test_nothing_is_reviewed_without_a_refit_or_before_a_newer_decision(twin_plant):
    assert review_refit(twin_plant(b"twin"), DEFINITION, END, None) is None
    platform = twin_plant(b"worse", decided(END, "provisional", None))
    assert review_refit(platform, DEFINITION, END - HOUR, None) is None
