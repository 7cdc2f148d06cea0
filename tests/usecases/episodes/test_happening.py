"""A prediction that comes true, live: its mails in order, operators, late data, another revision,
any way of evaluating it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.faults import UserError
from alerting.definitions.revisions import definition_document
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.episodes.happening import current_progress
from alerting.usecases.evaluation.evaluate import evaluate_past
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.operators import operate, shelving
from tests.helpers.coming_true import CRITICAL, HELD, NORMAL, Line, at, warned
from tests.helpers.stores import states_of

CREW = operate.Actor("ann", "operator")
pytestmark = pytest.mark.usefixtures("last_humidity")


def test_the_mails_of_a_whole_episode_in_order():
    line = warned(Line())
    line.feed(range(70, 90), moisture=4.5)
    line.run(*range(5, 90, 5))
    assert [(m.subject, m.text.splitlines()[1]) for m in line.mail.messages] == [
        (
            "MEDIUM: Biscuits too moist on oven-1",
            "Moisture will probably exceed 5 % within 30 min (100 %; alarm at 50 %).",
        ),
        (
            "It is happening: Biscuits too moist on oven-1",
            "Moisture is 5.5 %, limit 5 %, since Thu 1 Jan 00:25.",
        ),
        (
            "Over: Biscuits too moist on oven-1",
            "Thu 1 Jan 00:10 to 01:10 (1 h): the problem is over.",
        ),
    ]
    assert "What to do: Slow the belt down" in line.mail.messages[1].text
    [one] = line.episodes
    assert (one.raised_at, one.happening_at, one.prediction_ended_at, one.closed_at) == (
        at(10),
        at(35),
        at(35),
        at(70),
    )
    assert [t.kind for t in one.transitions if t.kind != "outcome"] == [
        "raised",
        "happening",
        "closed",
    ]
    assert one.outcome_record.outcome == "hit"
    assert one.phase == "over"


def test_an_acknowledgement_and_a_shelf_outlast_the_change_and_the_end_is_told():
    line = warned(Line())
    line.feed(range(70, 90), moisture=4.5)
    line.run(5, 10)
    operate.acknowledge(line.platform, line.episodes[0].id, CREW, at(12))
    shelving.shelve(line.platform, "too-moist", "oven-1", CREW, at(12), at(400), "known")
    line.run(*range(15, 90, 5))
    assert line.episodes[0].acknowledged.actor == "ann"
    assert line.subjects() == [
        "MEDIUM: Biscuits too moist on oven-1",
        "Over: Biscuits too moist on oven-1",
    ]


def test_found_after_an_outage_only_the_end_is_told():
    line = warned(Line())
    line.feed(range(70, 90), moisture=4.5)
    line.run(15, 85)
    assert line.subjects() == [
        "MEDIUM: Biscuits too moist on oven-1",
        "Over: Biscuits too moist on oven-1",
    ]


def test_a_silent_sensor_neither_ends_nor_prolongs_it_and_an_operator_can_close_it():
    line = warned(Line(), until=200)
    line.run(*range(5, 71, 5))
    assert current_progress(line.platform, line.episodes[0], at(70)).message.startswith(
        "Moisture is 5.5 %, limit 5 %"
    )
    with pytest.raises(UserError, match="it ends by itself with its problem, which still goes on"):
        operate.close(line.platform, line.episodes[0].id, CREW, at(70), "looks dry")
    line.run(*range(75, 150, 5))
    [one] = line.episodes
    known = current_progress(line.platform, one, at(145))
    assert (one.phase, known.is_known) == ("happening", False)
    assert known.message.startswith(f"Not known since {at(69).isoformat()}")
    with pytest.raises(UserError, match="say why it is over"):
        operate.close(line.platform, one.id, CREW, at(147), " ")
    operate.close(line.platform, one.id, CREW, at(147), "the sensor is removed")
    line.feed(range(150, 161), humidity=CRITICAL)
    line.run(150, 155, 160)
    assert [(e.raised_at, e.closed_at) for e in line.episodes] == [
        (at(10), at(147)),
        (at(150), None),
    ]
    closing = next(m for m in line.mail.messages if m.subject.startswith("Over"))
    assert "closed by ann: the sensor is removed" in closing.text
    assert line.episodes[1].continues is None


def test_a_problem_one_minute_after_the_horizon_of_the_raise_is_a_hit_while_the_risk_stays():
    line = Line(**{"for": "0s"})
    line.feed(range(1, 41), humidity=CRITICAL)
    line.feed(range(41, 100), humidity=NORMAL)
    line.feed(range(1, 41), moisture=4.0)
    line.feed(range(41, 60), moisture=5.5)
    line.feed(range(60, 100), moisture=4.0)
    line.run(*range(5, 100, 5))
    [one] = line.episodes
    assert (one.raised_at, one.valid_until, one.happening_at) == (at(10), at(70), at(41))
    assert (one.outcome_record.outcome, one.outcome_record.problem_at) == ("hit", at(41))
    assert one.outcome_record.rules == 3


def test_a_past_period_evaluated_again_says_what_is_known_now_of_the_problem():
    line = warned(Line())
    line.feed(range(70, 90), moisture=4.5)
    line.platform.clock.instant = at(90)
    evaluate_past(line.platform, "too-moist", at(0), at(89), model="champion")
    [before] = line.episodes
    line.feed(range(25, 30), now=91, moisture=4.0)
    evaluate_past(line.platform, "too-moist", at(0), at(89), model="champion")
    [after] = line.episodes
    assert (before.happening_at, before.prediction_ended_at) == (at(35), at(35))
    assert (after.happening_at, after.prediction_ended_at, after.closed_at) == (
        at(40),
        at(40),
        at(70),
    )


def test_an_open_continuation_becomes_happening_instead_of_a_correction():
    line = warned(Line(delay=30, predict="state", alarm={"longest_time": "30m"}))
    line.feed(range(40, 42), humidity=CRITICAL)
    line.feed(range(70, 120), moisture=4.0)
    line.run(*range(5, 200, 5))
    first, second = line.episodes
    assert (first.closed_at, second.raised_at, second.continues) == (at(40), at(40), first.id)
    assert (second.happening_at, second.closed_at) == (at(65), at(100))
    assert [s.partition(":")[0] for s in line.subjects()] == [
        "MEDIUM",
        "Over",
        "MEDIUM",
        "It is happening",
        "Over",
    ]


def test_an_episode_is_judged_by_the_problem_under_which_it_was_raised():
    line = warned(Line())
    line.feed(range(70, 90), moisture=4.5)
    line.run(*range(5, 31, 5))
    stricter = line.definition.model_copy(
        update={"problem": line.definition.problem.model_copy(update={"above": 6.0})}
    )
    apply(line.platform, [definition_document(stricter)], "engineer", at(31), "stricter")
    line.run(*range(35, 90, 5))
    one = line.episodes[0]
    assert (one.revision, one.happening_at, one.closed_at) == (1, at(35), at(70))


PHASES = st.lists(
    st.tuples(st.integers(5, 60), st.sampled_from([4.0, 4.8, 5.5])), min_size=3, max_size=7
)
RISKS = st.lists(
    st.tuples(st.integers(5, 60), st.sampled_from([NORMAL, HELD, CRITICAL])), min_size=3, max_size=7
)
ALARMS = st.fixed_dictionaries(
    {},
    optional={
        "clear_at": st.just(0.2),
        "clear_for": st.sampled_from(["5m", "25m"]),
        "longest_time": st.sampled_from(["35m", "60m"]),
    },
)
END = 240


def minutes_of(phases):
    values = [value for length, value in phases for _ in range(length)]
    return (values * END)[:END]


@settings(max_examples=8, deadline=None)
@given(
    PHASES,
    RISKS,
    st.sampled_from([0, 10, 25]),
    st.sampled_from([0, 15]),
    st.sampled_from(["onset", "state"]),
    st.sampled_from([7, 20, 45]),
    st.sampled_from([{}, {"clear": 4.5}, {"clear": {"difference": 0.5}, "merge_within": "25m"}]),
    ALARMS,
    st.randoms(use_true_random=False),
)
def test_live_in_any_chunks_and_with_late_data_is_the_whole_at_once(
    moist, risks, hold, delay, predict, every, ends, alarm, random
):
    moisture = minutes_of(moist)
    humidity = minutes_of(risks)
    rows = [
        ReadingRow("oven-1", at(m), {"moisture": moisture[m], "humidity": humidity[m]})
        for m in range(1, END)
    ]
    whole, live, late = (_line(hold, delay, predict, ends, alarm) for _ in range(3))
    for line in (whole, live):
        add_readings(line.platform, rows, at(0))
    whole.run(END)
    live.run(*range(every, END, every), END)
    assert shown(live) == shown(whole)
    come = [(row, m + random.choice([0, 0, 0, 0, 3, 40])) for m, row in enumerate(rows, 1)]
    before = 0
    for minute in [*range(every, END, every), END]:
        add_readings(
            late.platform, [row for row, arrival in come if before < arrival <= minute], at(minute)
        )
        late.run(minute)
        assert sum(e.condition == "open" for e in late.platform.episodes.find()) <= 1
        before = minute
    add_readings(late.platform, [row for row, arrival in come if arrival > END], at(END))
    for line in (late, whole):
        line.run(END + 1)
    assert chains(late) == chains(whole)
    assert state(late) == state(whole)


def _line(hold, delay, predict, ends, alarm):
    return Line(delay, alarm=alarm, **{"for": f"{hold}m", "predict": predict}, **ends)


def shown(line):
    return [
        (e.raised_at, e.happening_at, e.prediction_ended_at, e.closed_at, e.continues)
        for e in line.episodes
    ]


def chains(line):
    """Episodes with their continuations: raise, when the problem was known, and the end if it was
    not."""
    found = {}
    for e in line.episodes:
        first = next((f for f, chain in found.items() if chain[-1].id == e.continues), None)
        found.setdefault(first or e.id, []).append(e)
    told = []
    for chain in found.values():
        happened = [e.happening_at for e in chain if e.happening_at]
        began = chain[0].condition_started_at or chain[0].raised_at
        told.append(
            (began, min(happened) if happened else None, None if happened else chain[-1].closed_at)
        )
    return sorted(told)


def state(line):
    return replace(states_of(line.platform, "too-moist", ["oven-1"])["oven-1"], unknown_count=0)
