import pytest

from alerting.definitions.faults import NotFound, UserError
from alerting.episodes.episode import Feedback
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply, retire
from alerting.usecases.episodes.store import find_episode
from alerting.usecases.evaluation.evaluate import evaluate, evaluate_past
from alerting.usecases.ingestion.arrivals import add_readings
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.operators.feedback import give_feedback
from alerting.usecases.upkeep.maintain import maintain
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.stores import states_of
from tests.in_memory_platform import Mailbox, in_memory_platform


@pytest.fixture
def mailbox():
    return Mailbox("mail")


@pytest.fixture
def platform(mailbox):
    platform = in_memory_platform(mailbox)
    platform.assets.store_assets([oven()])
    apply(platform, [too_hot(**{"for": "2m"}, stale_after="30m")], "engineer", at(0), "test")
    return platform


def feed(platform, **values_by_minute):
    rows = [
        ReadingRow("oven-1", at(int(m[1:])), {"temperature": v})
        for m, v in values_by_minute.items()
    ]
    add_readings(platform, rows, at(0))


def run(platform, minute):
    platform.clock.instant = at(minute)
    counts = evaluate(platform, None, at(minute))
    deliver_due(platform, at(minute))
    return counts


def all_episodes(platform):
    return sorted(platform.episodes.find(), key=lambda e: e.raised_at)


def test_a_threshold_episode_is_raised_told_closed_and_told_again(platform, mailbox):
    feed(platform, m1=200, m5=230, m10=200)
    run(platform, 6)
    assert all_episodes(platform) == []
    run(platform, 8)
    (episode,) = all_episodes(platform)
    assert (episode.raised_at, episode.condition) == (at(7), "open")
    assert episode.evaluation.reason == "Zone 2 temperature is 230 °C, above 215 °C for 2 min"
    assert episode.inputs == {"temperature": 230.0}
    run(platform, 11)
    (episode,) = all_episodes(platform)
    assert (episode.closed_at, episode.condition) == (at(10), "closed")
    assert [m.key.split(":")[1] for m in mailbox.messages] == ["raised", "closed"]
    assert "too-hot on oven-1" in mailbox.messages[0].subject


def test_nothing_known_is_unknown_with_a_reason_and_raises_nothing(platform):
    counts = run(platform, 10)
    assert counts.unknown == {
        "too-hot on oven-1": "no reading of Zone 2 temperature since this alert is evaluated"
    }
    state = states_of(platform, "too-hot", ["oven-1"])["oven-1"]
    assert (state.unknown_count, state.unknown_reason) == (
        1,
        "no reading of Zone 2 temperature since this alert is evaluated",
    )


def test_a_new_definition_judges_nothing_before_its_activation(platform):
    feed(platform, m1=230, m2=230)
    apply(platform, [too_hot(name="later")], "engineer", at(10), "test")
    feed(platform, m12=200)
    run(platform, 20)
    assert [e.definition for e in all_episodes(platform)] == ["too-hot"]


def test_a_channel_nobody_configured_ends_as_a_dead_letter(platform, mailbox):
    apply(platform, [too_hot(notify={"channels": ["pager"]})], "engineer", at(0), "test")
    feed(platform, m1=230)
    run(platform, 10)
    [letter] = platform.notifications.dead()
    assert letter.error == "channel 'pager' is not configured"
    assert mailbox.messages == []


def test_judging_the_past_tells_nobody_and_says_what_was_not_found_again(platform, mailbox):
    feed(platform, m1=200, m5=230, m10=200, m40=225, m50=200)
    past = apply(
        platform,
        [too_hot(name="past", **{"for": "0s"}, stale_after="30m")],
        "engineer",
        at(100),
        "test",
    )
    assert past[0].action == "create"
    platform.clock.instant = at(100)
    counts = evaluate_past(platform, "past", at(0), at(60))
    assert (counts.raised, counts.withdrawn) == (2, 0)
    assert "evaluated by its newest revision, 1, as it would have been" in counts.notes[0]
    again = evaluate_past(platform, "past", at(0), at(60), revision="latest")
    assert (again.raised, again.withdrawn) == (0, 0)
    apply(
        platform, [too_hot(name="past", above=227, stale_after="30m")], "engineer", at(101), "test"
    )
    third = evaluate_past(platform, "past", at(0), at(60), revision="latest")
    assert (third.raised, third.withdrawn) == (0, 1)
    deliver_due(platform, at(200))
    assert mailbox.messages == []
    assert states_of(platform, "past", ["oven-1"]) == {}


def test_feedback_settles_a_threshold_episode_and_is_never_overwritten(platform):
    feed(platform, m1=230)
    run(platform, 10)
    (episode,) = all_episodes(platform)
    said = {
        "episode": episode.id[:8],
        "action": None,
        "comment": None,
        "acted": False,
        "at": at(11),
    }
    assert (
        give_feedback(
            platform, Feedback(verdict="true_alarm", actor="ann", **said)
        ).outcome_record.outcome
        == "hit"
    )
    after = give_feedback(platform, Feedback(verdict="false_alarm", actor="bob", **said))
    assert after.outcome_record.outcome == "undetermined"
    assert [f.actor for f in platform.feedback.for_episode(episode.id)] == ["ann", "bob"]
    with pytest.raises(UserError, match="is empty"):
        give_feedback(platform, Feedback(verdict=None, actor="ann", **said))
    with pytest.raises(NotFound, match="there is no episode"):
        find_episode(platform.episodes, "0000")


def test_an_action_within_the_window_whose_problem_did_not_occur_is_avoided(platform):
    document = too_hot(
        problem={"variable": "moisture", "above": 4.5}, horizon="30m", stale_after="30m"
    )
    apply(platform, [document], "engineer", at(0), "test")
    feed(platform, m1=230)
    rows = [ReadingRow("oven-1", at(m), {"moisture": 4.0}) for m in range(0, 60, 5)]
    add_readings(platform, rows, at(0))
    run(platform, 3)
    (episode,) = all_episodes(platform)
    give_feedback(
        platform,
        Feedback(
            episode=episode.id,
            verdict=None,
            acted=True,
            action="damper",
            comment=None,
            actor="ann",
            at=at(10),
        ),
    )
    assert platform.episodes.get(episode.id).outcome_record.outcome == "undetermined"
    run(platform, 40)
    outcome_record = platform.episodes.get(episode.id).outcome_record
    assert (outcome_record.outcome, outcome_record.acted, outcome_record.occurred) == (
        "avoided",
        True,
        False,
    )


@pytest.mark.parametrize("is_maintained", [True, False])
def test_what_is_in_service_again_raises_again_what_still_holds(platform, mailbox, is_maintained):
    feed(platform, m1=230)
    run(platform, 10)
    retire(platform, "too-hot", "engineer", at(11), "rebuilt")
    if is_maintained:
        maintain(platform, at(12))
    apply(platform, [too_hot(**{"for": "2m"}, stale_after="30m")], "engineer", at(20), "back")
    feed(platform, m21=230)
    run(platform, 30)
    assert [(e.raised_at, e.closed_at) for e in all_episodes(platform)] == [
        (at(3), at(11)),
        (at(23), None),
    ]
    assert mailbox.messages[-1].subject.startswith("MEDIUM: ")


def test_a_past_time_of_a_definition_without_a_champion_says_what_it_waits_for(platform):
    apply(platform, [too_moist(name="new")], "engineer", at(50), "test")
    platform.clock.instant = at(60)
    with pytest.raises(
        UserError, match=r"its training is due .* or at once with `alerting train new`"
    ):
        evaluate_past(platform, "new", at(0), at(20))


def test_a_document_edited_in_database_gets_a_revision_and_a_malformed_one_leaves_last_in_force(
    platform,
):
    platform.definitions.store_document(too_hot(above=250, stale_after="30m"))
    run(platform, 5)
    assert platform.definitions.revisions("too-hot")[-1].definition.above == 250
    platform.definitions.store_document(too_hot(above=250, variable="temperatur"))
    run(platform, 6)
    assert len(platform.definitions.revisions("too-hot")) == 2
    (fault,) = platform.definitions.faulty()["too-hot"]
    assert "did you mean temperature?" in fault
    # says what is in force
    platform.definitions.store_document(
        too_hot(above=250, stale_after="30m", promotion={"mode": "automatic"})
    )
    run(platform, 7)
    assert "definition has none" in platform.definitions.faulty()["too-hot"][0]
    platform.definitions.store_document(too_hot(above=260))
    run(platform, 8)
    assert platform.definitions.faulty() == {}
