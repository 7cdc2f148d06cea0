"""A threshold with conditions of several variables: applied, evaluated live, late and in the past,
explained, drawn."""

import pytest

from alerting.definitions.assets import Variable
from alerting.definitions.faults import UserError
from alerting.definitions.model import describe_problem
from alerting.kinds.validation import parse_definition, parse_revision
from alerting.ports import ReadingRow
from alerting.usecases.alarm_load.expected_load import expected_load
from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.definitions.checking import check
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.explain.explain import why
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.chart import chart_of
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.reports.make import make_report
from tests.builders import at, oven, revision, too_hot, too_moist
from tests.in_memory_platform import Mailbox, in_memory_platform

HOT = {"variable": "temperature", "above": 215}
MOIST = {"variable": "moisture", "above": 4.5, "stale_after": "1h"}
RYE = {"variable": "recipe", "equals": "rye", "no_data": "ignore"}
DOCUMENT = {
    "name": "hot-and-moist",
    "kind": "threshold",
    "assets": ["oven-1"],
    "all": [{"any": [HOT, {"variable": "temperature", "below": 180}]}, MOIST, RYE],
    "for": "2m",
}
ROWS = [
    ReadingRow("oven-1", at(-600), {"recipe": "rye"}),
    *(
        ReadingRow("oven-1", at(m), {"temperature": 220.0 if 20 <= m < 40 else 200.0})
        for m in range(1, 61)
    ),
    ReadingRow("oven-1", at(10.5), {"moisture": 4.0}),
    ReadingRow("oven-1", at(25.5), {"moisture": 5.0}),
]


@pytest.fixture
def mailbox():
    return Mailbox("mail")


@pytest.fixture
def platform(mailbox):
    made = in_memory_platform(mailbox)
    made.assets.store_assets([oven(recipe=Variable(type="category"))])
    apply(made, [DOCUMENT], "engineer", at(0), "test")
    add_readings(made, ROWS, at(0))
    return made


def evaluated(platform, *minutes):
    for minute in minutes:
        platform.clock.instant = at(minute)
        evaluate(platform, None, at(minute))
        deliver_due(platform, at(minute))
    return platform.episodes.find("hot-and-moist")


@pytest.mark.parametrize(
    "minutes", [(60,), (10, 22, 26, 27, 28, 41, 60)], ids=["at once", "in steps"]
)
def test_one_episode_while_all_conditions_hold(platform, minutes):
    (episode,) = evaluated(platform, *minutes)
    assert (episode.raised_at, episode.closed_at) == (at(27.5), at(40))
    assert episode.inputs == {"temperature": 220.0, "moisture": 5.0, "recipe": "rye"}


def test_the_notification_names_the_conditions_that_hold_with_their_values(platform, mailbox):
    evaluated(platform, 30)
    (message,) = mailbox.messages
    expected = (
        "Zone 2 temperature is 220 °C, above 215 °C and moisture is 5 %, above 4.5 % and recipe is "
        "rye for 2 min"
    )
    assert expected in message.text


def test_a_late_reading_of_any_of_the_variables_is_evaluated_again(platform):
    evaluated(platform, 60)
    add_readings(platform, [ReadingRow("oven-1", at(35), {"moisture": 4.0})], at(61))
    (episode,) = evaluated(platform, 62)
    assert episode.closed_at == at(35)


@pytest.mark.parametrize(
    ("minute", "verdict", "answer"),
    [
        (15, "normal", "not all of its conditions hold"),
        (26, "pending", "all of its conditions have held since 2026-01-05 00:25:30 UTC"),
        (30, "open", "open since 2026-01-05 00:27:30 UTC"),
        (80, "unknown", "cannot tell: no reading of Zone 2 temperature within 10 min"),
    ],
)
def test_why_says_which_conditions_hold(platform, minute, verdict, answer):
    evaluated(platform, 90)
    found = why(platform, "hot-and-moist", "oven-1", at(minute))
    assert found.verdict == verdict
    assert answer in found.answer
    if minute == 15:
        assert (
            "moisture, above 4.5: does not hold; it was 4 at 2026-01-05 00:10:30 UTC" in found.facts
        )
        assert "recipe, equals rye: holds; it was rye at 2026-01-04 14:00 UTC" in found.facts


def test_values_and_limits_of_many_digits_are_written_out(platform):
    document = {**DOCUMENT, "all": [{"variable": "temperature", "above": 1_234_567.0}, MOIST, RYE]}
    apply(platform, [document], "engineer", at(60), "test")
    add_readings(platform, [ReadingRow("oven-1", at(61), {"temperature": 2_345_678.0})], at(61))
    facts = why(platform, "hot-and-moist", "oven-1", at(61)).facts
    assert any(f.endswith("holds; it was 2345678 at 2026-01-05 01:01 UTC") for f in facts)
    problem = parse_definition(too_moist(problem={"variable": "moisture", "above": 1_234_567.0}))
    assert describe_problem(problem.problem) == "moisture above 1234567"


def test_the_chart_draws_each_variable_with_its_limits(platform):
    (episode,) = evaluated(platform, 60)
    panels = chart_of(platform, episode, at(60)).panels
    assert [(p.name, [x.value for x in p.levels]) for p in panels] == [
        ("Zone 2 temperature", [215, 180]),
        ("moisture", [4.5]),
    ]


def test_backtest_report_and_expected_load_agree_with_live(platform):
    live = [(e.raised_at, e.closed_at) for e in evaluated(platform, 90)]
    run = backtest(platform, named_subject(platform, "hot-and-moist"), at(0), at(60))
    assert [(e.raised_at, e.closed_at) for e in run.episodes] == live
    metrics = make_report(platform, "hot-and-moist", at(0), at(60), at(90)).metrics
    assert metrics["outcomes"]["undetermined"] == 1
    assert metrics["data"]["assets"][0]["gaps_s"] < 61, (
        "only before the first reading: a recipe of ten hours ago is known"
    )
    assert expected_load(
        platform, named_subject(platform, "hot-and-moist").definition, at(90)
    ).notes


def test_another_revision_goes_on_with_the_values_that_are_known(platform):
    evaluated(platform, 30)
    apply(
        platform,
        [{**too_hot(above=210), "name": "hot-and-moist"}],
        "engineer",
        at(30),
        "one of them",
    )
    apply(platform, [DOCUMENT], "engineer", at(32), "all again")
    (episode,) = evaluated(platform, 31, 60)
    assert [t.kind for t in episode.transitions] == ["raised", "revised", "revised", "closed"]
    assert episode.closed_at == at(40)


def test_a_stored_revision_with_all_its_fields_is_read_again():
    made = revision(parse_definition(DOCUMENT))
    assert parse_revision(made.model_dump(by_alias=True)) == made


@pytest.mark.parametrize(
    "before",
    [
        {**DOCUMENT, "all": [HOT, {**MOIST, "above": 9}]},
        {**too_hot(above=230), "name": "hot-and-moist"},
    ],
)
def test_another_revision_begins_with_the_last_value_of_a_variable_that_it_adds(mailbox, before):
    platform = in_memory_platform(mailbox)
    platform.assets.store_assets([oven(recipe=Variable(type="category"))])
    apply(platform, [before], "engineer", at(0), "test")
    add_readings(platform, ROWS, at(0))
    evaluated(platform, 15)
    apply(platform, [DOCUMENT], "engineer", at(15), "with the recipe")
    (episode,) = evaluated(platform, 16, 60)
    assert episode.inputs["recipe"] == "rye"


@pytest.mark.parametrize(
    "last", [{"temperature": 9999.0}, {"temperature": 220.0, "moisture": 999.0}]
)
def test_a_reading_out_of_range_before_the_first_evaluation_hides_no_older_value(mailbox, last):
    platform = in_memory_platform(mailbox)
    platform.assets.store_assets(
        [oven(temperature=Variable(high=400), moisture=Variable(high=100))]
    )
    apply(platform, [{**DOCUMENT, "all": [HOT, MOIST], "for": "0m"}], "engineer", at(0), "test")
    add_readings(
        platform,
        [
            ReadingRow("oven-1", at(-3), {"temperature": 220.0, "moisture": 5.0}),
            ReadingRow("oven-1", at(-2), last),
        ],
        at(0),
    )
    assert not evaluated(platform, 1)
    assert why(platform, "hot-and-moist", "oven-1", at(1)).verdict == "unknown"


def test_faults_beside_the_assets_name_the_condition(platform):
    with pytest.raises(UserError) as refused:
        check(
            platform,
            [
                {
                    **DOCUMENT,
                    "all": [
                        HOT,
                        {
                            "any": [
                                RYE,
                                {"variable": "recipe", "above": 3},
                                {**HOT, "variable": "temprature"},
                            ]
                        },
                    ],
                }
            ],
        )
    assert [
        line.strip(" -").partition(" (")[0] for line in str(refused.value).splitlines()[1:]
    ] == [
        "all.1.any.1.variable: 'recipe' is a category; a limit needs a number",
        "all.1.any.2.variable: none of the matched assets has a variable 'temprature'",
    ]
