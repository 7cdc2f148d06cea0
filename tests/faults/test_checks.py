"""Each check of the fault test finds what it is there to find."""

import json
from collections import defaultdict
from dataclasses import replace

import pytest

from alerting.detection.evaluation import Evaluation
from alerting.episodes.episode import Episode, OutcomeRecord
from alerting.notifications.notification import Notification, new_message
from tests.builders import at
from tests.faults.account import Account, check_deliveries, check_standstills
from tests.faults.excuses import Excuses, grouped_and_not_told
from tests.faults.run import _not_reached, check_patience, sentence
from tests.faults.starvation import (
    Health,
    ProcessorWaits,
    Standstill,
    longest_delivery_s,
    standstills,
    time_within,
)
from tests.faults.streamed.compare import compare_episodes, compare_notifications
from tests.faults.streamed.scores import LateRange, ScoreKey, check_scores
from tests.faults.world import World


def never(_start, _end):
    return False


def episode(id, raised, decided, closed=None, **changes):
    made = Episode(
        id=id, definition="too-hot", revision=1, kind="threshold", asset="oven-1", title="too hot",
        severity="medium",
        raised_at=at(raised), detected_at=at(decided),
        condition="open" if closed is None else "closed",
        closed_at=None if closed is None else at(closed),
        evaluation=Evaluation(at(raised), "triggered", "hot", 240.0, 215.0),
    )  # fmt: skip
    return replace(made, **changes)


def told(
    id,
    transition="raised",
    status="sent",
    reason="first notification",
    severity="medium",
    channel="shift",
):
    key = f"{id}:{transition}:{channel}"
    return Notification(
        key, channel, transition, reason, at(0), None, status=status, severity=severity, episode=id
    )


def excuses(*episodes, notices=(), looked=never):
    return Excuses({e.id: e for e in episodes}, notices, looked)


def digest(*keys, status="sent", channel="shift"):
    return replace(
        new_message(
            "digest:1", channel, "1 alert", "text", at(20), "ovens", notifications=list(keys)
        ),
        status=status,
    )


def test_the_end_of_what_was_raised_and_over_in_one_catch_up_needs_no_message_of_its_own():
    over = episode("a", 1, 10, closed=4)
    assert (
        excuses(over, notices=[told("a")]).reason("a:closed:shift")
        == "raised and over in one catch-up"
    )


@pytest.mark.parametrize(
    ("closed", "looked", "status"),
    [
        pytest.param(12, never, "sent", id="it was over only after it was found"),
        pytest.param(
            4,
            lambda start, end: start <= at(2) < end,
            "sent",
            id="an evaluation had looked in between",
        ),
        pytest.param(4, never, "pending", id="its raise was told to no recipient"),
        pytest.param(4, never, "grouped", id="its raise is in no digest"),
    ],
)
def test_a_missing_end_is_not_excused(closed, looked, status):
    over = episode("a", 1, 10, closed=closed)
    assert (
        excuses(over, notices=[told("a", status=status)], looked=looked).reason("a:closed:shift")
        is None
    )


def test_of_a_start_and_an_end_in_one_catch_up_the_end_is_enough():
    come_true = episode("a", 1, 1, closed=9, happening_at=at(6))
    notices = [told("a"), told("a", "closed")]
    assert (
        excuses(come_true, notices=notices).reason("a:happening:shift")
        == "happening and over in one catch-up"
    )


def test_a_start_before_the_first_message_needs_no_message_of_its_own():
    found = episode("a", 1, 10, happening_at=at(6))
    assert (
        excuses(found, notices=[told("a")]).reason("a:happening:shift")
        == "raised and happening in one catch-up"
    )


@pytest.mark.parametrize(
    ("closed", "looked", "end"),
    [
        pytest.param(None, never, "pending", id="it is not over"),
        pytest.param(
            9,
            lambda start, end: start <= at(7) < end,
            "sent",
            id="an evaluation had looked in between",
        ),
        pytest.param(9, never, "pending", id="its end was told to no recipient"),
    ],
)
def test_a_missing_start_is_not_excused(closed, looked, end):
    come_true = episode("a", 1, 1, closed=closed, happening_at=at(6))
    notices = [told("a"), told("a", "closed", status=end)]
    assert excuses(come_true, notices=notices, looked=looked).reason("a:happening:shift") is None


@pytest.mark.parametrize(("status", "excused"), [("sent", True), ("pending", False)])
def test_what_a_digest_tells_counts_once_the_digest_is_delivered(status, excused):
    notices = [told("a", status="grouped"), digest("a:raised:shift", status=status)]
    reason = excuses(episode("a", 1, 30, closed=4), notices=notices).reason("a:closed:shift")
    assert (reason is not None) == excused
    assert grouped_and_not_told(notices, ["shift"]) == ([] if excused else ["a:raised:shift"])


@pytest.mark.parametrize(
    ("reason", "excused"),
    [("first notification; 1 more since 8 min ago", True), ("first notification", False)],
)
def test_an_earlier_episode_of_a_catch_up_is_excused_where_the_newest_names_it(reason, excused):
    earlier = episode("a", 1, 10, closed=3)
    newest = episode("b", 6, 10)
    assert (
        excuses(earlier, newest, notices=[told("b", reason=reason)]).reason("a:raised:shift")
        is not None
    ) == excused


@pytest.mark.parametrize(("severity", "excused"), [("critical", True), ("medium", False)])
def test_a_missing_rise_is_excused_where_the_raise_told_a_severity_as_high(severity, excused):
    raised = episode("a", 1, 10)
    assert (
        excuses(raised, notices=[told("a", severity=severity)]).reason(
            "a:severity_rose-critical:shift"
        )
        is not None
    ) == excused


def test_an_episode_that_the_run_does_not_have_excuses_nothing():
    assert excuses().reason("a:raised:shift") is None


def test_starvation_counts_only_time_in_which_all_that_is_needed_was_up():
    storm = [
        {"of": "mongod", "what": "kill", "t": 10.0},
        {"of": "mongod", "what": "back", "t": 40.0},
        {"of": "notifier-1", "what": "freeze", "t": 50.0},
        {"of": "notifier-2", "what": "kill", "t": 60.0},
        {"of": "notifier-1", "what": "back", "t": 70.0},
    ]
    health = Health.from_storm(storm, ["mongod", "notifier-1", "notifier-2"], 0.0, 100.0)
    up = health.healthy([["mongod"], ["notifier-1", "notifier-2"]])
    assert up == [(0.0, 10.0), (40.0, 60.0), (70.0, 100.0)]
    assert time_within(up, 5.0, 75.0) == 30.0
    assert [
        s.seconds for s in standstills([0.0, 45.0, 100.0], up, ProcessorWaits([]), ["mongod"])
    ] == [15.0, 45.0]


def processor(*seconds, part="evaluator-1", pids=None):
    """How long a part had waited for a processor in all, once in ten seconds; `pids`: its process
    numbers."""
    numbers = pids or [1] * len(seconds)
    return ProcessorWaits(
        [{"t": 10.0 * k, "waits": {part: (numbers[k], s)}} for k, s in enumerate(seconds)]
    )


def test_time_without_processor_is_counted_of_parts_are_needed_and_at_most_as_long_as_it_lasted():
    waits = processor(0.0, 8.0, 8.0, 40.0)
    # two threads that wait at once wait for ten seconds
    assert waits.seconds_waited(["evaluator-1"], 0.0, 30.0) == 18.0
    assert waits.seconds_waited(["evaluator-1"], 5.0, 20.0) == 4.0
    assert waits.seconds_waited(["notifier-1"], 0.0, 30.0) == 0.0
    # killed in between
    assert (
        processor(9.0, 1.0, 3.0, pids=[1, 2, 2]).seconds_waited(["evaluator-1"], 0.0, 20.0) == 2.0
    )


@pytest.mark.parametrize(
    ("starved", "wrong", "named"),
    [
        pytest.param(0.0, 1, 0, id="the machine had time for it"),
        pytest.param(4.0, 1, 0, id="the machine took a small part of it"),
        pytest.param(12.0, 0, 1, id="the machine took it"),
    ],
)
def test_a_standstill_is_a_fault_unless_the_machine_starved_the_processes(starved, wrong, named):
    account = Account()
    check_standstills(account, "evaluation", [Standstill(3.0, 0.0), Standstill(28.0, starved)])
    check_deliveries(
        account, {"a:raised:shift": Standstill(38.0, starved)}, {"a:raised:shift": 30.0}
    )
    assert (len(account.wrong), len(account.starved)) == (2 * wrong, 2 * named), account
    assert all("waited for a processor" in text for text in account.starved)


def test_a_quick_run_is_neither_wrong_nor_starved():
    account = Account()
    check_standstills(account, "evaluation", [Standstill(3.0, 3.0)])
    check_deliveries(account, {"a:raised:shift": Standstill(3.0, 3.0)}, {"a:raised:shift": 30.0})
    assert (account.wrong, account.starved) == ([], [])


@pytest.mark.parametrize(("waited", "wrong"), [(0.0, 1), (300.0, 0)])
def test_what_is_not_done_in_time_is_a_fault_unless_the_machine_starved_the_processes(
    tmp_path, waited, wrong
):
    world = World(str(tmp_path), 1, 6.0, 1, 2, 3)
    account = Account()
    world.path("evaluator-1.jsonl").touch()
    samples = [{"t": t, "waits": {"evaluator-1": (1, s)}} for t, s in ((0.0, 0.0), (400.0, waited))]
    world.path("processor.jsonl").write_text(
        "".join(f"{json.dumps(sample)}\n" for sample in samples)
    )
    check_patience(account, world, ["delivered"], 0.0, 400.0)
    assert (len(account.wrong), len(account.starved)) == (wrong, 1 - wrong)


def test_the_sentence_names_starvation_as_starvation_and_says_that_the_episodes_are_the_same():
    report = defaultdict(
        int, kills={}, freezes={}, wrong=[], starved=["evaluation stood still for 28.0 s"]
    )
    assert ", the same as undisturbed" in sentence(report)
    assert (
        "STARVATION by this machine, no fault of the platform: evaluation stood still"
        in sentence(report)
    )
    report |= {"starved": [], "wrong": ["standstill of evaluation: 1, e.g. 28.0 s"]}
    assert ", the same as undisturbed" in sentence(
        report
    ) and "Wrong: standstill of evaluation" in sentence(report)
    report |= {"episodes that differ": 1}
    assert "NOT the same as undisturbed" in sentence(report)


def test_a_delivery_may_wait_for_the_claims_of_processes_that_died():
    assert [longest_delivery_s(n, speed=6) for n in (1, 2, 3)] == [30.0, 50.0, 70.0]
    assert longest_delivery_s(1, speed=6, ahead=100) == 80.0


def test_a_run_that_reaches_no_digest_no_claim_and_no_model_episode_has_failed():
    account = Account(
        dict.fromkeys(
            ["digests delivered", "claims that were taken over", "told in summaries of floods"], 0
        )
    )
    account.counts["episodes of the model"] = 0
    assert len(_not_reached(account, minutes=30, speed=6, kills=100)) == 4
    assert len(_not_reached(account, minutes=0.75, speed=12, kills=3)) == 2


def compared(stormy, notifications, accepted=None):
    account = Account()
    received = {n.key: 1 for n in notifications} if accepted is None else accepted
    compare_notifications(account, stormy, notifications, received)
    return account.wrong


def in_stream(id, transition="raised", **changes):
    return told(id, transition, channel="mes", **changes)


@pytest.mark.parametrize(
    ("live", "notifications", "wrong"),
    [
        pytest.param(
            [episode("a", 1, 1)], [], "episodes without a notification: 1", id="no notification"
        ),
        pytest.param(
            [episode("a", 1, 5, closed=2), episode("b", 3, 5)],
            [in_stream("b")],
            "episodes without a notification",
            id="unnamed",
        ),
        pytest.param(
            [episode("a", 1, 2, closed=2), episode("b", 3, 5)],
            [in_stream("b", reason="first notification; 1 more since 4 min ago")],
            "episodes without a notification",
            id="of another evaluation",
        ),
        pytest.param(
            [episode("a", 1, 2, closed=3)],
            [in_stream("a")],
            "ends without a notification",
            id="no end",
        ),
        pytest.param(
            [episode("a", 1, 2, happening_at=at(4))],
            [in_stream("a")],
            "problems of predictions without a notification",
            id="it came true",
        ),
        pytest.param(
            [episode("a", 1, 2)],
            [in_stream("a", status="dead")],
            "notifications that are dead",
            id="dead",
        ),
    ],
)
def test_a_notification_that_is_lost_in_a_storm_of_streams_is_found(live, notifications, wrong):
    found = compared(live, notifications)
    assert [text.startswith(wrong) for text in found] == [True]


def test_a_notification_that_was_not_received_is_found():
    assert compared([episode("a", 1, 2)], [in_stream("a")], {})[0].startswith(
        "recorded as sent and not received: 1"
    )


def test_the_end_of_an_episode_that_was_over_when_it_was_found_may_be_moved_by_late_data():
    over = episode("a", 1, 5, closed=2).with_transition("closed", at(2), "the condition is gone")
    moved = replace(over, closed_at=at(7)).with_transition("corrected", at(8), "late data: later")
    assert compared([moved], [in_stream("a")]) == []
    later = replace(over, closed_at=at(7), transitions=())
    assert len(compared([later], [in_stream("a")])) == 1


def test_the_newest_of_a_catch_up_speaks_for_the_others():
    notifications = [in_stream("b", reason="first notification; 1 more since 4 min ago")]
    assert compared([episode("a", 1, 5, closed=2), episode("b", 3, 5)], notifications) == []
    known = episode("c", 2, 2, closed=3)  # in between, found and notified before late data came
    notifications += [in_stream("c"), in_stream("c", "closed")]
    assert compared([episode("a", 1, 5, closed=2), known, episode("b", 3, 5)], notifications) == []
    refuted = replace(episode("b", 3, 5, closed=4), withdrawn=True)
    assert compared([episode("a", 1, 5, closed=2), known, refuted], notifications) == []


def test_late_data_may_move_the_begin_of_an_episode_and_nothing_else():
    calm = episode("a", 1, 1, closed=9)
    late = episode("b", 3, 4, closed=9)
    moved = replace(late, condition_started_at=at(1))
    corrected = moved.with_transition("corrected", at(5), "late data: it began earlier")
    for stormy, wrong in (
        (late, 2),
        (moved, 1),
        (corrected, 0),
        (replace(corrected, closed_at=at(8)), 2),
        (calm, 0),
    ):
        account = Account()
        compare_episodes(account, [stormy], [calm])
        assert len(account.wrong) == wrong


def predicted(**changes):
    """A prediction of a champion that came true."""
    whole = episode("a", 1, 1, closed=9)
    return replace(whole, happening_at=at(6), model_version=2, valid_until=at(8), **changes)


@pytest.mark.parametrize(
    ("stormy", "wrong"),
    [
        pytest.param([], ["episodes missing: 1"], id="lost"),
        pytest.param([predicted()] * 2, ["episodes only in the storm: 1"], id="doubled"),
        pytest.param(
            [replace(predicted(), happening_at=None)],
            ["episodes missing: 1", "episodes only in the storm: 1"],
            id="it came true",
        ),
        pytest.param(
            [replace(predicted(), model_version=1)],
            ["episodes missing: 1", "episodes only in the storm: 1"],
            id="another champion",
        ),
        pytest.param(
            [replace(predicted(), valid_until=at(7))],
            ["episodes with other steps: 1"],
            id="not extended",
        ),
        pytest.param([predicted()], [], id="the same"),
    ],
)
def test_a_prediction_that_is_not_as_undisturbed_is_found(stormy, wrong):
    account = Account()
    compare_episodes(account, stormy, [predicted()])
    assert [text.partition(",")[0] for text in account.wrong] == wrong


@pytest.mark.parametrize(("due", "wrong"), [(None, 1), (at(20), 0)])
def test_another_outcome_is_found_unless_it_is_determined_again(due, wrong):
    hit, missed = (
        OutcomeRecord(outcome, "", outcome == "hit", None, too_late=False, acted=False, rules=1)
        for outcome in ("hit", "false_alarm")
    )
    account = Account()
    stormy = predicted(outcome_record=missed, outcome_due_at=due)
    compare_episodes(account, [stormy], [predicted(outcome_record=hit)])
    assert len(account.wrong) == wrong


def scores(*minutes, version=1, value=0.5):
    """Scores of one target at these minutes."""
    row = {"score": value, "threshold": 0.4, "model_version": version}
    return {ScoreKey("moist", "oven-1", at(minute)): [row] for minute in minutes}


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        pytest.param(scores(1, 2, 3), [], id="the same"),
        pytest.param(
            scores(1, 2) | scores(3, value=0.5 + 1e-14), [], id="the same beside rounding"
        ),
        pytest.param(scores(1, 2), ["scores missing: 1"], id="lost"),
        pytest.param(scores(1, 2, 3, 4), ["scores only in the storm: 1"], id="one too many"),
        pytest.param(
            scores(1, 2) | {key: rows * 2 for key, rows in scores(3).items()},
            ["scores doubled: 1"],
            id="doubled",
        ),
        pytest.param(
            scores(1, 2) | scores(3, value=0.5 + 1e-9), ["scores that differ: 1"], id="other value"
        ),
        pytest.param(
            scores(1, 2) | scores(3, version=2), ["scores that differ: 1"], id="other champion"
        ),
    ],
)
def test_a_score_that_is_not_as_undisturbed_is_found(found, wrong):
    account = Account()
    check_scores(account, found, scores(1, 2, 3), {})
    assert [text.partition(",")[0] for text in account.wrong] == wrong


def test_late_readings_excuse_another_score_and_no_lost_one():
    late = {"oven-1": [LateRange(at(3), at(4))]}
    account = Account()
    check_scores(account, scores(1, 2) | scores(3, value=0.9), scores(1, 2, 3), late)
    assert account.wrong == []
    check_scores(account, scores(1, 2), scores(1, 2, 3), late)
    assert [text.partition(",")[0] for text in account.wrong] == ["scores missing: 1"]


def test_a_run_in_which_late_readings_excuse_nearly_all_scores_has_failed():
    account = Account()
    check_scores(account, scores(1, 2, 3), scores(1, 2, 3), {"oven-1": [LateRange(at(0), at(9))]})
    assert len(account.wrong) == 1
