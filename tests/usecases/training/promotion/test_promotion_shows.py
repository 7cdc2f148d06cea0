"""Better data lead to a better champion, noise does not, and three problems prove nothing: with the
real learners."""

from datetime import timedelta

import pytest

from alerting.episodes.episode import Feedback
from alerting.episodes.lifecycle import ConditionState
from alerting.episodes.state_table import ConditionTable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.operators.feedback import give_feedback
from alerting.usecases.training.compare import compare_run
from alerting.usecases.training.promote import rollback
from alerting.usecases.training.run import candidate_families
from alerting.usecases.training.train import fit, prepare, train
from tests.builders import at
from tests.humid_line import ASSET, DAY, EVERY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models


def platform_with(rows, **changes):
    platform = in_memory_platform()
    platform.assets.store_assets([humid_oven()])
    add_readings(platform, rows, at(0))
    apply(platform, [learned_quickly(**changes)], "engineer", at(0), "test")
    platform.clock.instant = at(12 * DAY)
    return platform


def twin_of(platform, version):
    return platform.models.version_tags(NAME, version)["model_hash"]


def proposal_as_of(platform, as_of):
    """Everything of a training but its promotion."""
    run_id = prepare(platform, NAME, as_of)
    for family in candidate_families(platform, run_id):
        fit(platform, run_id, family)
    return compare_run(platform, run_id)


def test_a_challenger_trained_on_better_data_is_promoted_and_a_rollback_is_what_evaluation_uses():
    platform = platform_with(line(sensor_from=3))
    assert train(platform, NAME, at(3 * DAY)).verdict == "provisional"

    result = train(platform, NAME, at(12 * DAY))

    assert (result.verdict, result.promote) == ("promote", True)
    assert result.reason.startswith(
        "The challenger replaces the champion: the challenger's average precision is "
    )
    rows = result.evidence["rows"]
    assert rows["challenger"]["ap"] > rows["champion"]["ap"] + 0.1
    assert (platform.models.alias(NAME, "champion"), platform.models.alias(NAME, "previous")) == (
        2,
        1,
    )

    platform.clock.instant = at(12 * DAY + 60)
    rollback(platform, NAME, "humidity sensor goes to calibration", "ann")
    later = [
        ReadingRow(ASSET, at(12 * DAY + m), {"dough": 50.0, "moisture": 3.5, "humidity": 40.0})
        for m in range(10, 121, EVERY)
    ]
    add_readings(platform, later, at(12 * DAY))
    evaluated = ConditionTable([(NAME, ASSET)])
    evaluated.write_state(0, ConditionState(watermark=at(12 * DAY)))
    platform.states.advance(ConditionTable([(NAME, ASSET)]), evaluated)
    evaluate(platform, None, at(12 * DAY + 120))
    said = {
        row["ts"]: row["model_version"]
        for row in platform.scores.for_interval(NAME, at(12 * DAY + 5), at(12 * DAY + 119))
    }
    assert {said[t] for t in said if t <= at(12 * DAY + 60)} == {2}
    assert {said[t] for t in said if t > at(12 * DAY + 60)} == {1}


def test_a_challenger_trained_on_noise_is_not_promoted():
    """After day 6 the sensor lies, up to the days that decide; a training that starts there learns
    to disregard it."""
    rows = line(broken=(6.0, 10.0))
    platform = platform_with(rows)
    assert train(platform, NAME, at(6 * DAY)).verdict == "provisional"
    later = {"start": at(6 * DAY).isoformat(), "validation": 0.3, "test": 0.3}
    document = platform.definitions.documents()[0] | {"periods": later}
    apply(platform, [document], "engineer", at(6 * DAY), "only the newest days")

    result = train(platform, NAME, at(12 * DAY))

    assert result.reason.startswith("The champion stays: the challenger's average precision is ")
    assert result.evidence["rows"]["challenger"]["ap"] < result.evidence["rows"]["champion"]["ap"]
    serving = platform.models.alias(NAME, "champion")
    assert serving != result.challenger_version
    assert twin_of(platform, serving) == twin_of(platform, 1) != twin_of(platform, 2)


def test_with_three_problems_nobody_can_tell_and_the_champion_stays():
    platform = platform_with(line(sensor_from=3, few_from=9.6))
    train(platform, NAME, at(3 * DAY))

    result = train(platform, NAME, at(12 * DAY))

    assert (result.verdict, result.refreshed_version) == ("refreshed", 3)
    assert result.reason.startswith("Cannot tell: 3 problems between")
    assert platform.decisions.for_definition(NAME)[-1].challenger_version == 3
    assert twin_of(platform, 3) == twin_of(platform, 1) != twin_of(platform, 2)


def test_a_comparison_as_of_an_instant_knows_nothing_of_what_people_said_later():
    platform = platform_with(line(sensor_from=3))
    train(platform, NAME, at(3 * DAY))
    evaluate(platform, None, at(12 * DAY))
    last = max(
        (e for e in platform.episodes.find(NAME) if e.raised_at < at(11.9 * DAY)),
        key=lambda e: e.raised_at,
    )
    give_feedback(
        platform,
        Feedback(
            episode=last.id,
            verdict="true_alarm",
            acted=True,
            action="opened the flap",
            comment=None,
            actor="ann",
            at=at(12 * DAY + 30),
            acted_at=last.raised_at + timedelta(minutes=5),
        ),
    )

    before, after = (proposal_as_of(platform, at(12 * DAY + minutes)) for minutes in (0, 40))

    assert before.evidence["acted_rows"] == 0
    assert after.evidence["acted_rows"] > 0


def test_the_run_can_be_read_and_its_drawings_are_pictures():
    platform = platform_with(line())
    platform.runs.shown = True
    run = train(platform, NAME, at(6 * DAY)).run_id
    pictures = {
        name: data
        for name, data in platform.runs.files(run, "evidence").items()
        if name.endswith(".png")
    }
    names = ("threshold", "calibration", "importance", "shap_beeswarm")
    assert set(pictures) == {f"{name}.png" for name in names}
    assert all(data.startswith(b"\x89PNG") and len(data) > 1000 for data in pictures.values())
    text = platform.runs.files(run, "decision")["decision.md"].decode()
    assert text.startswith(
        "# too-moist: The challenger goes into service\n\nFirst model. It is clearly "
        "better than chance"
    )
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
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
    platform = platform_with(line())
    train(platform, NAME, at(6 * DAY))
    platform.models.registered[NAME][0].files.clear()

    counts = evaluate(platform, None, at(7 * DAY))

    assert "version 1 in the registry is damaged" in counts.unknown[f"{NAME} on {ASSET}"]
    (alert,) = platform.platform_alerts.open()
    assert (alert.kind, alert.subject, alert.opened_at) == (
        "champion unreadable",
        NAME,
        at(7 * DAY),
    )
    evaluate(platform, None, at(7 * DAY + 5))
    assert platform.platform_alerts.open() == [alert]

    waiting = train(platform, NAME, at(12 * DAY))
    assert waiting.waiting
    assert "version 1, cannot be read" in waiting.reason
    assert len(platform.decisions.for_definition(NAME)) == 1
