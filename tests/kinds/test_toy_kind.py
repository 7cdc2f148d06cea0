"""A kind in one folder outside of the package goes through everything, and nothing else is
touched."""

import pytest
from jsonschema import Draft202012Validator

from alerting.definitions.assets import Variable
from alerting.definitions.faults import UserError
from alerting.kinds.registry import definition_types, registered
from alerting.kinds.schema import json_schema, mongo_revision_validator, mongo_validator
from alerting.ports import ReadingRow
from alerting.usecases.alarm_load.expected_load import expected_load
from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.definitions.checking import check
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate, evaluate_past
from alerting.usecases.explain.explain import why
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.chart import chart_of
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.reports.make import make_report
from tests.builders import at, oven, too_hot
from tests.in_memory_platform import Mailbox, in_memory_platform
from tools.pages.definition_reference import reference_page

DOCUMENT = {
    "name": "apart",
    "kind": "spread",
    "assets": ["oven-1"],
    "one": "left",
    "other": "right",
    "most": 5,
    "problem": {"variable": "moisture", "above": 4.5},
    "horizon": "30m",
}
LEFT_BY_MINUTE = {minute: 110.0 if 20 <= minute < 30 else 100.0 for minute in range(0, 60, 5)}


@pytest.fixture(autouse=True)
def toy_kind():
    with registered("tests.kinds.toy_kind"):
        yield
    assert "spread" not in definition_types()


@pytest.fixture
def mailbox():
    return Mailbox("mail")


@pytest.fixture
def platform(mailbox):
    made = in_memory_platform(mailbox)
    made.assets.store_assets([oven(left=Variable(unit="°C"), right=Variable(unit="°C"))])
    check(made, [DOCUMENT])
    apply(made, [DOCUMENT], "engineer", at(0), "test")
    moist = {minute: 5.0 if 35 <= minute < 45 else 3.0 for minute in LEFT_BY_MINUTE}
    rows = [
        ReadingRow("oven-1", at(m), {"left": left, "right": 100.0, "moisture": moist[m]})
        for m, left in LEFT_BY_MINUTE.items()
    ]
    add_readings(made, rows, at(0))
    return made


def evaluated(platform, *minutes):
    for minute in minutes:
        platform.clock.instant = at(minute)
        evaluate(platform, None, at(minute))
        deliver_due(platform, at(minute))
    return platform.episodes.find("apart")


def test_faults_of_its_fields_and_beside_the_assets_are_found(platform):
    with pytest.raises(UserError, match="other: is the same variable"):
        check(platform, [{**DOCUMENT, "other": "left"}])
    with pytest.raises(UserError, match="other: none of the matched assets has a variable 'rigth'"):
        check(platform, [{**DOCUMENT, "other": "rigth"}])
    with pytest.raises(UserError, match=r"kind: 'spred' is not a kind \(did you mean spread\?\)"):
        check(platform, [{**DOCUMENT, "kind": "spred"}])


def test_schema_validators_and_reference_page_contain_it():
    schema = Draft202012Validator(json_schema())
    assert schema.is_valid(DOCUMENT)
    assert not schema.is_valid({**DOCUMENT, "most": "much"})
    kinds = [one["properties"]["kind"]["enum"] for one in mongo_validator()["$jsonSchema"]["oneOf"]]
    assert ["spread"] in kinds
    of_revision = mongo_revision_validator()["$jsonSchema"]["properties"]["definition"]["oneOf"]
    assert [one["properties"]["kind"]["enum"] for one in of_revision] == kinds
    assert "## Kind `spread`\n\nTwo variables that should be equal drift apart." in reference_page()


@pytest.mark.parametrize("minutes", [(60,), (10, 22, 23, 41, 60)], ids=["at once", "in steps"])
def test_it_is_evaluated_and_raises_and_closes_one_episode(platform, minutes):
    (episode,) = evaluated(platform, *minutes)
    assert (episode.kind, episode.raised_at, episode.closed_at) == ("spread", at(20), at(30))
    assert episode.evaluation.reason == "left and right differ by 10, at most 5"


def test_people_are_notified_of_raise_and_end(platform, mailbox):
    evaluated(platform, 10, 22, 41)
    assert [message.subject for message in mailbox.messages] == [
        "MEDIUM: apart on oven-1",
        "Over: apart on oven-1",
    ]


def test_an_instant_is_evaluated_by_the_kind_in_force_there(platform):
    apply(
        platform,
        [{**too_hot(above=105), "name": "apart", "variable": "left"}],
        "engineer",
        at(10),
        "limit of one",
    )
    apply(platform, [{**DOCUMENT, "most": 50}], "engineer", at(45), "the difference again")
    (episode,) = evaluated(platform, 60)
    assert (episode.kind, episode.revision, episode.raised_at, episode.closed_at) == (
        "threshold",
        2,
        at(20),
        at(30),
    )


def test_late_readings_of_its_variables_are_evaluated_again(platform):
    evaluated(platform, 60)
    add_readings(platform, [ReadingRow("oven-1", at(25), {"right": 110.0})], at(61))
    (episode,) = evaluated(platform, 62)
    assert episode.closed_at == at(25)


def test_its_outcome_comes_from_the_problem(platform):
    evaluated(platform, 60)
    (episode,) = evaluated(platform, 90)
    assert episode.outcome_record.outcome == "hit"


@pytest.mark.parametrize(
    ("minute", "verdict"), [(10, "normal"), (25, "open"), (40, "normal"), (80, "unknown")]
)
def test_why_asks_the_kind(platform, minute, verdict):
    evaluated(platform, 90)
    assert why(platform, "apart", "oven-1", at(minute)).verdict == verdict


def test_the_chart_draws_what_the_kind_names(platform):
    (episode,) = evaluated(platform, 60)
    (panel,) = chart_of(platform, episode, at(60)).panels
    assert (panel.name, panel.levels[0].value) == ("left", 5)


def test_past_backtest_report_and_expected_load_agree_with_live(platform):
    live = [(e.raised_at, e.closed_at) for e in evaluated(platform, 120)]
    assert evaluate_past(platform, "apart", at(0), at(60)).raised == 0
    run = backtest(platform, named_subject(platform, "apart"), at(0), at(60))
    assert [(e.raised_at, e.closed_at) for e in run.episodes] == live
    report = make_report(platform, "apart", at(0), at(60), at(120))
    assert report.metrics["outcomes"]["hit"] == run.metrics["outcomes"]["hit"] == 1
    assert "no model" not in report.page
    assert expected_load(platform, named_subject(platform, "apart").definition, at(120)).notes
