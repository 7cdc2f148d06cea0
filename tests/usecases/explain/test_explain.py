import pytest

from alerting.ports import ReadingRow
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.explain import why
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.notification.delivery import deliver_due
from alerting.usecases.operators import operate
from tests.builders import at, oven, too_hot, too_moist
from tests.helpers.mutes import mute_target
from tests.helpers.refusals import assert_refused
from tests.helpers.stores import states_of
from tests.in_memory_platform import Mailbox, in_memory_platform


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("mail"))
    made.assets.store_assets([oven(), oven().model_copy(update={"name": "oven-2"})])
    apply(
        made,
        [too_hot(**{"for": "2m"}, stale_after="30m", clear_above_at=210)],
        "engineer",
        at(0),
        "test",
    )
    feed(made, m1=200, m5=230, m10=212, m20=200)
    return made


def feed(platform, **values_by_minute):
    rows = [
        ReadingRow("oven-1", at(int(m[1:])), {"temperature": v})
        for m, v in values_by_minute.items()
    ]
    add_readings(platform, rows, at(0))


def run(platform, minute):
    platform.clock.instant = at(minute)
    evaluate(platform, ["too-hot"], at(minute))
    deliver_due(platform, at(minute))


def ask(platform, minute, name="too-hot", asset="oven-1"):
    return why(platform, name, asset, at(minute))


ANSWERS = {
    0.5: ("unknown", None),
    3: ("normal", 200),
    6: ("pending", 230),
    8: ("open", 230),
    15: ("open", 212),
    21: ("normal", 200),
    80: ("unknown", 200),
}


def answers(platform):
    found = {minute: ask(platform, minute) for minute in ANSWERS}
    return {minute: (one.verdict, one.value) for minute, one in found.items()}


def test_the_answer_is_the_same_however_far_evaluation_has_come_and_changes_nothing(platform):
    found = {"never": answers(platform)}
    for minute in (3, 6.5, 90):
        run(platform, minute)
        before = platform.episodes.find(), states_of(platform, "too-hot", ["oven-1"])
        found[minute] = answers(platform)
        assert (platform.episodes.find(), states_of(platform, "too-hot", ["oven-1"])) == before
    assert found == dict.fromkeys(("never", 3, 6.5, 90), ANSWERS)


def test_bad_quality_is_told_with_when_it_began_and_what_was_known_before(platform):
    rows = [ReadingRow("oven-1", at(m), {}, {"temperature": "bad"}) for m in (25, 26)]
    rows.append(ReadingRow("oven-1", at(20), {"temperature": 200.0}, {"temperature": "uncertain"}))
    add_readings(platform, rows, at(0))
    known, since, last = (f"{at(minute):%Y-%m-%d %H:%M UTC}" for minute in (20, 25, 26))
    facts = {
        f"temperature was 200 at {known}, of uncertain quality",
        f"temperature has been of bad quality since {since}; its last sample is of {last}",
    }
    for evaluated in (3, 30):
        run(platform, evaluated)
        found = ask(platform, 31)
        assert found.answer.startswith(
            "cannot tell: bad quality: the source marks the last "
            "sample of Zone 2 temperature as bad"
        )
        assert (found.verdict, facts - {*found.facts}) == ("unknown", set())
    assert (
        evaluate(platform, ["too-hot"], at(32))
        .unknown["too-hot on oven-1"]
        .startswith("bad quality")
    )


def test_a_pending_condition_says_since_when_and_when_it_is_due(platform):
    found = ask(platform, 6)
    assert (found.pending_since, found.due_at, found.limit) == (at(5), at(7), 215)
    assert "must hold for 2 min" in found.answer


def test_an_open_one_names_its_episode_who_was_told_and_who_acknowledged(platform):
    run(platform, 8)
    [episode] = platform.episodes.find()
    operate.acknowledge(platform, episode.id, operate.Actor("ann", "operator"), at(8))
    found = ask(platform, 8)
    assert found.episode == episode.id
    told = (
        "limits: above 215.0, clear_above_at 210.0, for 2m",
        "notified: mail (sent)",
        "acknowledged by ann",
    )
    assert [words for words in told if words not in "; ".join(found.facts)] == []


def test_a_mute_is_named_also_in_hindsight(platform):
    ann = operate.Actor("ann", "operator")
    mute_target(platform, "too-hot", "oven-1", ann, at(2), at(9), "cleaning")
    run(platform, 30)
    assert [ask(platform, minute).muted for minute in (1, 8, 9)] == [False, True, False]
    assert "cleaning" in ask(platform, 8).facts[-1]


def test_readings_that_came_late_are_seen_to_differ_from_what_was_kept(platform):
    run(platform, 50)
    feed(platform, m40=230, m45=230)
    assert any("came after its evaluation" in fact for fact in ask(platform, 44).facts)
    feed(platform, m5=200, m10=200)
    assert any("some of them came later" in fact for fact in ask(platform, 8).facts)


def test_what_is_not_judged_says_why(platform):
    assert "in service since" in ask(platform, -10).answer
    assert "does not apply to oven-2" in ask(platform, 5, asset="oven-2").answer
    apply(platform, [too_hot(state="draft")], "engineer", at(60), "test")
    assert ask(platform, 61).verdict == "not evaluated"
    assert ask(platform, 61).answer == "it was not evaluated: revision 2 is draft"
    assert ask(platform, 6).verdict == "pending"  # what was in force then counts for then


def test_without_a_model_nobody_can_tell_and_a_name_that_nobody_knows_is_refused(platform):
    apply(platform, [too_moist()], "engineer", at(0), "test")
    found = ask(platform, 30, name="too-moist")
    assert (found.verdict, found.unknown) == ("unknown", "no model is in service yet")
    assert_refused("nothing", ask, platform, 5, "nothing")
    assert_refused("oven-9", ask, platform, 5, asset="oven-9")


def test_readings_after_now_are_told_of_and_used_by_no_evaluation(platform):
    run(platform, 21)
    feed(platform, m141=230, m80=230)
    found = ask(platform, 21)
    assert found.verdict == "normal"
    assert found.facts[-1].startswith("2 readings lie after now (the newest by 2 h): its clock")
    platform.clock.instant = at(21 + 3 * 24 * 60)
    assert not any("after now" in fact for fact in ask(platform, 21).facts)
