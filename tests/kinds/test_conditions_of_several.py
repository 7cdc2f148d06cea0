"""A threshold with conditions of several variables: applied, evaluated live, late and in the past,
explained, drawn."""

import pytest

from alerting.definitions.asset_documents import Variable
from alerting.ports import ReadingRow
from alerting.usecases.alarm_load.budget_gate import expected_load
from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.explain import why
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.make_reports import make_report
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.notification.episode_values import chart_of
from tests.builders import at, oven, too_hot
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


def test_one_episode_while_all_conditions_hold_in_one_evaluation_or_several_and_in_its_past(
    platform, mailbox
):
    (episode,) = evaluated(platform, 10, 22, 26, 27, 28, 41, 60, 90)
    assert (episode.raised_at, episode.closed_at) == (at(27.5), at(40))
    assert episode.inputs == {"temperature": 220.0, "moisture": 5.0, "recipe": "rye"}
    expected = (
        "Zone 2 temperature is 220 °C, above 215 °C and moisture is 5 %, above 4.5 % and recipe is "
        "rye for 2 min"
    )
    assert expected in mailbox.messages[0].text
    assert [
        (panel.name, [level.value for level in panel.levels])
        for panel in chart_of(platform, episode, at(60)).panels
    ] == [("Zone 2 temperature", [215, 180]), ("moisture", [4.5])]
    subject = named_subject(platform, "hot-and-moist")
    run = backtest(platform, subject, at(0), at(60))
    assert [(e.raised_at, e.closed_at) for e in run.episodes] == [(at(27.5), at(40))]
    metrics = make_report(platform, "hot-and-moist", at(0), at(60), at(90)).metrics
    assert metrics["outcomes"]["undetermined"] == 1
    # only before the first reading: a recipe of ten hours ago is known
    assert metrics["data"]["assets"][0]["gaps_s"] < 61
    assert expected_load(platform, subject.definition, at(90)).notes
    add_readings(platform, [ReadingRow("oven-1", at(35), {"moisture": 4.0})], at(91))
    (late,) = evaluated(platform, 92)
    assert (late.raised_at, late.closed_at) == (at(27.5), at(35))


def test_why_says_which_conditions_hold(platform):
    evaluated(platform, 90)
    expected = {
        15: ("normal", "not all of its conditions hold"),
        26: ("pending", "all of its conditions have held since 2026-01-05 00:25:30 UTC"),
        30: ("open", "open since 2026-01-05 00:27:30 UTC"),
        80: ("unknown", "cannot tell: no reading of Zone 2 temperature within 10 min"),
    }
    found = {m: why(platform, "hot-and-moist", "oven-1", at(m)) for m in expected}
    assert {minute: one.verdict for minute, one in found.items()} == {
        minute: verdict for minute, (verdict, _) in expected.items()
    }
    assert [m for m, (_, answer) in expected.items() if answer not in found[m].answer] == []
    assert {
        "moisture, above 4.5: does not hold; it was 4 at 2026-01-05 00:10:30 UTC",
        "recipe, equals rye: holds; it was rye at 2026-01-04 14:00 UTC",
    } <= {*found[15].facts}


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
