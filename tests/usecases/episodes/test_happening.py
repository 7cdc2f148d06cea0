"""A prediction that comes true, live: operators, late data, another revision, events, any way of
evaluating it. Its mails are in tests/usecases/notification/test_mails_in_order.py."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerting.definitions.asset_documents import EventType
from alerting.definitions.faults import UserError
from alerting.definitions.revisions import definition_document
from alerting.definitions.wording.language import ENGLISH
from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.episodes.outcomes import current_progress
from alerting.usecases.evaluation.rounds import evaluate_past
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.operators import operate
from tests.helpers.coming_true import CRITICAL, HELD, NORMAL, Line, at, warned
from tests.helpers.mutes import mute_target
from tests.helpers.stores import states_of

CREW = operate.Actor("ann", "operator")
pytestmark = pytest.mark.usefixtures("last_humidity")
RAISED_AND_OVER = ["MEDIUM: Biscuits too moist on oven-1", "Over: Biscuits too moist on oven-1"]


def over_at_70(**changes):
    line = warned(Line(**changes))
    line.feed(range(70, 90), moisture=4.5)
    return line


def times(line):
    return [
        tuple(
            None if instant is None else (instant - at(0)).total_seconds() / 60
            for instant in (e.raised_at, e.happening_at, e.prediction_ended_at, e.closed_at)
        )
        for e in line.episodes
    ]


def test_an_acknowledgement_and_a_mute_outlast_the_change_and_the_end_is_told():
    line = over_at_70()
    line.run(5, 10)
    operate.acknowledge(line.platform, line.episodes[0].id, CREW, at(12))
    mute_target(line.platform, "too-moist", "oven-1", CREW, at(12), at(400), "known")
    line.run(*range(15, 90, 5))
    assert line.episodes[0].acknowledged.actor == "ann"
    assert line.subjects() == RAISED_AND_OVER


def test_found_after_an_outage_only_the_end_is_told():
    line = over_at_70()
    line.run(15, 85)
    assert line.subjects() == RAISED_AND_OVER


def test_a_silent_sensor_neither_ends_nor_prolongs_it_and_an_operator_can_close_it():
    line = warned(Line(), until=200)
    line.run(*range(5, 71, 5))
    id = line.episodes[0].id
    assert current_progress(line.platform, line.episodes[0], at(70)).message.startswith(
        "Moisture is 5.5 %, limit 5 %"
    )
    with pytest.raises(UserError, match="it ends by itself with its problem, which still goes on"):
        operate.close(line.platform, id, CREW, at(70), "looks dry")
    line.run(*range(75, 150, 5))
    [one] = line.episodes
    known = current_progress(line.platform, one, at(145))
    assert (one.phase, known.is_known) == ("happening", False)
    assert known.message.startswith(f"Not known since {ENGLISH.show(at(69))}")
    with pytest.raises(UserError, match="say why it is over"):
        operate.close(line.platform, id, CREW, at(147), " ")
    operate.close(line.platform, id, CREW, at(147), "the sensor is removed")
    line.feed(range(150, 161), humidity=CRITICAL)
    line.run(150, 155, 160)
    assert [(first, last) for first, _, _, last in times(line)] == [(10, 147), (150, None)]
    closing = next(m for m in line.mail.messages if m.subject.startswith("Over"))
    assert "closed by ann: the sensor is removed" in closing.text
    assert line.episodes[1].continues is None


def test_a_problem_one_minute_after_the_horizon_of_the_raise_is_a_hit_while_the_risk_stays():
    line = Line(**{"for": "0s"})
    line.feed(range(1, 41), humidity=CRITICAL, moisture=4.0)
    line.feed(range(41, 60), humidity=NORMAL, moisture=5.5)
    line.feed(range(60, 100), humidity=NORMAL, moisture=4.0)
    line.run(*range(5, 100, 5))
    [one] = line.episodes
    assert (one.raised_at, one.valid_until, one.happening_at) == (at(10), at(70), at(41))
    assert one.announced_until == at(40), "what the raise said stays"
    record = one.outcome_record
    assert (record.outcome, record.problem_at, record.rules) == ("hit", at(41), 4)


def test_a_past_period_evaluated_again_says_what_is_known_now_of_the_problem():
    line = over_at_70()
    line.platform.clock.instant = at(90)
    evaluate_past(line.platform, "too-moist", at(0), at(89), model="champion")
    assert times(line) == [(10, 35, 35, 70)]
    line.feed(range(25, 30), now=91, moisture=4.0)
    evaluate_past(line.platform, "too-moist", at(0), at(89), model="champion")
    assert times(line) == [(10, 40, 40, 70)]


def test_an_open_continuation_becomes_happening_instead_of_a_correction():
    line = warned(Line(delay=30, predict="state", alarm={"longest_time": "30m"}))
    line.feed(range(40, 42), humidity=CRITICAL)
    line.feed(range(70, 120), moisture=4.0)
    line.run(*range(5, 200, 5))
    first, second = line.episodes
    assert (first.closed_at, second.continues) == (at(40), first.id)
    assert times(line)[1] == (40, 65, 65, 100)
    kinds = [subject.partition(":")[0] for subject in line.subjects()]
    assert kinds == ["MEDIUM", "Over", "MEDIUM", "It is happening", "Over"]


def test_an_episode_is_judged_by_the_problem_under_which_it_was_raised():
    line = over_at_70()
    line.run(*range(5, 31, 5))
    stricter = line.definition.problem.model_copy(update={"above": 6.0})
    changed = line.definition.model_copy(update={"problem": stricter})
    apply(line.platform, [definition_document(changed)], "engineer", at(31), "stricter")
    line.run(*range(35, 90, 5))
    assert (line.episodes[0].revision, times(line)[0]) == (1, (10, 35, 35, 70))


# --- of an event
# --------------------------------------------------------------------------------------------------

DURATIONS = {"failure": "instant", "stop": "lasting", "stop-2": "lasting"}
TYPES = [EventType(name=name, duration=duration) for name, duration in DURATIONS.items()]
EVENTS = [("stop", start, end, 0) for start, end in ((23, 30), (50, 60), (89, 92), (140, 150))]
STORIES = {
    # the problem, minutes of high risk, rounds and events, instants of the episode, mails
    "an instant event has happened and is over at once": (
        {"event": "failure"}, range(1, 21), [5, 10, 15, ("failure", 23), 25, 30, 60, 90],
        (10, 23, 23, 23), ["MEDIUM", "It happened"],
    ),
    "a lasting one is happening until its end, however long that is": (
        {"event": "stop"}, range(1, 21),
        [5, 10, ("stop", 23), *range(25, 236, 5), ("stop", 23, 238, 238), 240, 245],
        (10, 23, 23, 238), ["MEDIUM", "It is happening", "Over"],
    ),
    "nearer than merge_within they are one problem": (
        {"event": "stop", "merge_within": "30m"}, [*range(1, 21), *range(61, 66)],
        [*EVENTS, 10, *range(15, 300, 5)],
        (10, 23, 23, 122), ["MEDIUM", "It is happening", "Over"],
    ),
    "also where it is seldom evaluated": (
        {"event": "stop", "merge_within": "30m"}, [*range(1, 21), *range(61, 66)],
        [*EVENTS, 10, *range(15, 300, 35), 300],
        (10, 23, 23, 122), ["MEDIUM", "It is happening", "Over"],
    ),
    "overlapping ones are one problem that ends with the last": (
        {"event": "stop*"}, range(1, 21),
        [("stop", 23, 60), ("stop-2", 40, 90), *range(5, 121, 5)],
        (10, 23, 23, 90), ["MEDIUM", "It is happening", "Over"],
    ),
    "before the raise and after the window it is not what was predicted": (
        {"event": "failure", "recovery": "0s", "every": 5}, range(8, 11),
        [("failure", 4), ("failure", 55), *range(5, 91, 5)],
        (10, None, 25, 25), ["MEDIUM", "Over"],
    ),
}  # fmt: skip


def of_event(problem, critical, story):
    line = Line(event_types=TYPES, **problem)
    line.feed(range(1, 300), humidity=NORMAL)
    line.feed(critical, humidity=CRITICAL)
    for step in story:
        if isinstance(step, tuple):
            line.event(*step)
        else:
            line.run(step)
    return line


def test_a_prediction_of_an_event_comes_true_and_is_over_with_it():
    found = {}
    for name, (problem, critical, story, _, _) in STORIES.items():
        line = of_event(problem, critical, story)
        kinds = [subject.partition(":")[0] for subject in line.subjects()]
        found[name] = (*times(line), kinds)
    assert found == {name: (instants, kinds) for name, (*_, instants, kinds) in STORIES.items()}


def test_an_event_without_an_end_goes_on_and_is_closed_by_hand_after_a_day():
    line = of_event({"event": "stop"}, range(1, 21), [("stop", 23), *range(5, 291, 15)])
    [one] = line.episodes
    progress = current_progress(line.platform, one, at(290))
    assert (one.phase, progress.is_known) == ("happening", True)
    with pytest.raises(UserError, match="goes on: Its event has no end yet; mute it instead"):
        operate.close(line.platform, one.id, CREW, at(290), "it runs")
    a_day_later = at(23 + 24 * 60 + 60)
    operate.close(line.platform, one.id, CREW, a_day_later, "its end was not recorded")
    assert line.platform.episodes.get(one.id).closed_at == a_day_later


# --- however it is evaluated
# --------------------------------------------------------------------------------------------------

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
PROBLEMS = st.builds(
    lambda ends, hold, predict: {"for": f"{hold}m", "predict": predict, **ends},
    st.sampled_from([{}, {"clear": 4.5}, {"clear": {"difference": 0.5}, "merge_within": "25m"}]),
    st.sampled_from([0, 10, 25]),
    st.sampled_from(["onset", "state"]),
)
END = 240


def minutes_of(phases):
    values = [value for length, value in phases for _ in range(length)]
    return (values * END)[:END]


@settings(max_examples=8, deadline=None)
@given(
    PHASES,
    RISKS,
    PROBLEMS,
    st.sampled_from([0, 15]),
    st.sampled_from([7, 20, 45]),
    ALARMS,
    st.randoms(use_true_random=False),
)
def test_live_in_any_chunks_and_with_late_data_is_the_whole_at_once(
    moist, risks, problem, delay, every, alarm, random
):
    values = list(zip(minutes_of(moist), minutes_of(risks), strict=True))
    rows = [
        ReadingRow("oven-1", at(m), {"moisture": values[m][0], "humidity": values[m][1]})
        for m in range(1, END)
    ]
    whole, live, late = (Line(delay, alarm=alarm, **problem) for _ in range(3))
    for line in (whole, live):
        add_readings(line.platform, rows, at(0))
    rounds = [*range(every, END, every), END]
    whole.run(END)
    live.run(*rounds)
    continued = [e.continues for e in whole.episodes]
    assert (times(live), [e.continues for e in live.episodes]) == (times(whole), continued)
    come = [(row, m + random.choice([0, 0, 0, 0, 3, 40])) for m, row in enumerate(rows, 1)]
    before = 0
    for minute in rounds:
        arrived = [row for row, arrival in come if before < arrival <= minute]
        add_readings(late.platform, arrived, at(minute))
        late.run(minute)
        assert sum(e.condition == "open" for e in late.platform.episodes.find()) <= 1
        before = minute
    add_readings(late.platform, [row for row, arrival in come if arrival > END], at(END))
    for line in (late, whole):
        line.run(END + 1)
    assert chains(late) == chains(whole)
    assert state(late) == state(whole)


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
