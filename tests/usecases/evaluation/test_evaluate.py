import pytest

from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import commands_of
from alerting.episodes.episode import Feedback
from alerting.ports import ReadingRow
from alerting.usecases.data_upkeep import maintain
from alerting.usecases.definitions.revisions_and_evaluation_plan import DEFINITION_DOCUMENTS, apply
from alerting.usecases.episodes.stored_episodes import find_episode
from alerting.usecases.evaluation.rounds import evaluate, evaluate_past
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.operators.operate import give_feedback
from tests.builders import at, too_hot, too_moist
from tests.helpers.late_line import Line, told
from tests.helpers.ovens import feed, oven_platform
from tests.helpers.stores import states_of

SLOW = {"for": "2m", "stale_after": "30m"}
NOTHING = "Zone 2 temperature has no reading since this alert is in service"


@pytest.fixture
def line():
    return Line(**SLOW)


def define(line, minute, **changes):
    return apply(line.platform, [too_hot(**changes)], "engineer", at(minute), "test")


def test_a_threshold_episode_is_raised_told_closed_and_told_again(line):
    assert line.run(1).unknown == {"too-hot on oven-1": NOTHING}
    state = states_of(line.platform, "too-hot", ["oven-1"])["oven-1"]
    assert (state.unknown_count, state.unknown_reason) == (1, NOTHING)
    line.live((6, {2: 200, 5: 230}))
    assert line.episodes() == []
    line.run(8)
    (episode,) = line.episodes()
    assert (episode.raised_at, episode.condition) == (at(7), "open")
    assert episode.evaluation.reason == "Zone 2 temperature is 230 °C, above 215 °C for 2 min"
    assert episode.inputs == {"temperature": 230.0}
    line.live((11, {10: 200}))
    (episode,) = line.episodes()
    assert (episode.closed_at, episode.condition) == (at(10), "closed")
    assert told(line) == ["raised", "closed"]
    assert "too-hot on oven-1" in line.mail.messages[0].subject


def test_a_new_definition_judges_nothing_before_its_activation(line):
    line.feed({1: 230, 2: 230})
    define(line, 10, name="later")
    line.live((20, {12: 200}))
    assert [e.definition for e in line.episodes()] == ["too-hot"]


def test_a_channel_nobody_configured_ends_as_a_dead_letter(line):
    define(line, 0, notify={"channels": ["pager"]})
    assert line.live((10, {1: 230})) == []
    [letter] = line.platform.notifications.dead()
    assert letter.error == "channel 'pager' is not configured"


def test_judging_the_past_tells_nobody_and_says_what_was_not_found_again(line):
    line.feed({1: 200, 5: 230, 10: 200, 40: 225, 50: 200})
    [plan] = define(line, 100, name="past", stale_after="30m")
    assert plan.action == "new"
    line.platform.clock.instant = at(100)
    counts = evaluate_past(line.platform, "past", at(0), at(60))
    assert "evaluated by its newest revision, 1, as it would have been" in counts.notes[0]
    again = evaluate_past(line.platform, "past", at(0), at(60), revision="latest")
    define(line, 101, name="past", above=227, stale_after="30m")
    third = evaluate_past(line.platform, "past", at(0), at(60), revision="latest")
    found = [(each.raised, each.withdrawn) for each in (counts, again, third)]
    assert found == [(2, 0), (0, 0), (0, 1)]
    deliver_due(line.platform, at(200))
    assert line.mail.messages == []
    assert states_of(line.platform, "past", ["oven-1"]) == {}


def said(episode, actor, verdict=None, acted=False, at_minute=11):
    words = {"action": "damper" if acted else None, "comment": None, "at": at(at_minute)}
    return Feedback(episode=episode, verdict=verdict, acted=acted, actor=actor, **words)


def test_feedback_settles_a_threshold_episode_and_is_never_overwritten(line):
    line.live((10, {1: 230}))
    id = line.episodes()[0].id
    answers = [("ann", "true_alarm"), ("bob", "false_alarm")]
    outcomes = [
        give_feedback(line.platform, said(id[:8], *answer)).outcome_record.outcome
        for answer in answers
    ]
    assert outcomes == ["hit", "undetermined"]
    assert [f.actor for f in line.platform.feedback.for_episode(id)] == ["ann", "bob"]
    with pytest.raises(UserError, match="is empty"):
        give_feedback(line.platform, said(id, "ann"))
    with pytest.raises(NotFound, match="there is no alarm"):
        find_episode(line.platform.episodes, "0000")


def test_an_action_within_the_window_whose_problem_did_not_occur_is_avoided(line):
    problem = {"variable": "moisture", "above": 4.5}
    define(line, 0, problem=problem, horizon="30m", stale_after="30m")
    rows = [ReadingRow("oven-1", at(m), {"moisture": 4.0}) for m in range(0, 60, 5)]
    add_readings(line.platform, rows, at(0))
    line.live((3, {1: 230}))
    id = line.episodes()[0].id
    give_feedback(line.platform, said(id, "ann", acted=True, at_minute=10))
    assert line.platform.episodes.get(id).outcome_record.outcome == "undetermined"
    line.run(40)
    record = line.platform.episodes.get(id).outcome_record
    assert (record.outcome, record.acted, record.occurred) == ("avoided", True, False)


def test_what_is_in_service_again_raises_again_what_still_holds():
    for is_maintained in (True, False):
        line = Line(**SLOW)
        line.live((10, {1: 230}))
        DEFINITION_DOCUMENTS.change_state(
            line.platform, "too-hot", "retire", "engineer", at(11), "rebuilt"
        )
        if is_maintained:
            maintain(line.platform, at(12))
        define(line, 20, **SLOW)
        assert line.live((30, {21: 230}))[-1] == (30, "MEDIUM")
        found = [(e.raised_at, e.closed_at) for e in line.episodes()]
        assert found == [(at(3), at(11)), (at(23), None)]


def test_a_past_time_of_a_definition_without_a_champion_says_what_it_waits_for(line):
    apply(line.platform, [too_moist(name="new")], "engineer", at(50), "test")
    line.platform.clock.instant = at(60)
    with pytest.raises(UserError, match=r"training starts within two minutes") as refusal:
        evaluate_past(line.platform, "new", at(0), at(20))
    assert commands_of(refusal.value.message) == ["alerting train new"]


def test_a_document_edited_in_database_gets_a_revision_and_a_malformed_one_leaves_last_in_force(
    line,
):
    definitions = line.platform.definitions
    seen = []
    for number, changes in enumerate(
        (
            {"above": 250},
            {"above": 250, "variable": "temperatur"},
            {"above": 250, "promotion": {"mode": "automatic"}},
            {"above": 260},
        )
    ):
        definitions.store_document(too_hot(**changes))
        line.run(5 + number)
        revisions = definitions.revisions("too-hot")
        faults = definitions.faulty().get("too-hot", ("none",))
        seen.append((len(revisions), revisions[-1].definition.above, faults[0]))
    assert [one[:2] for one in seen] == [(2, 250), (2, 250), (2, 250), (3, 260)]
    assert "did you mean temperature?" in seen[1][2]
    assert "definition has none" in seen[2][2]
    assert (seen[0][2], seen[3][2]) == ("none", "none")


def test_a_stored_value_that_is_none_holds_its_own_pair_back_and_no_other():
    platform = oven_platform(count=3)
    for minute in (1, 2, 12):
        feed(platform, minute, 200.0, count=3)
    wrong = ReadingRow("oven-2", at(11), {"temperature": "hot"})
    add_readings(platform, [wrong], at(0))
    evaluate(platform, None, at(10))
    counts = evaluate(platform, None, at(13))
    assert list(counts.unknown) == ["too-hot on oven-2"]
    assert "correct the reading in collection `readings`" in counts.unknown["too-hot on oven-2"]
    states = states_of(platform, "too-hot", ["oven-1", "oven-2", "oven-3"])
    assert [state.watermark for state in states.values()] == [at(13), at(10), at(13)]
    add_readings(platform, [ReadingRow("oven-2", at(11), {"temperature": 230.0})], at(13))
    assert evaluate(platform, None, at(14)).raised == 1
