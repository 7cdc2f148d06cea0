"""Suppression by design in the life of a plant: judged as ever, told to nobody, and told afterwards
what is still wrong."""

import pytest

from alerting.definitions.faults import UserError
from alerting.operators.actions_and_mutes import isa_state
from alerting.usecases.alarm_load.alarm_metrics import alarm_quality
from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply, sync
from alerting.usecases.episodes.mutes_and_suppression import list_suppressed
from alerting.usecases.explain import why
from alerting.usecases.operators import operate
from tests.builders import at, oven, too_hot
from tests.helpers.ovens import live, muted, receivers_broken, run, the_episode
from tests.helpers.suppression import STOPPED, feed, plant
from tests.in_memory_platform import Mailbox

UNKNOWN = "no reading of line_state within 10 min on line-1"
LEVELS = {"above": None, "levels": {"medium": {"above": 215}, "critical": {"above": 230}}}
STORIES = {
    "raised while the line stands: judged as ever and told to nobody": (
        {}, [(1, 200, "stopped"), (3, 230), (6,)],
        [], "suppressed by design",
    ),
    "still wrong when the line runs again: told then and once": (
        {}, [(1, 230, "stopped"), (2,), (5, "runs"), (7,), (8,), (9, 200, "runs")],
        [(5, "unmuted"), (9, "closed")], "returned unacknowledged",
    ),
    "came and went while the line stood": (
        {}, [(1, 230, "stopped"), (2,), (3, 200), (5, "runs"), (7,)],
        [], "returned unacknowledged",
    ),
    "told before the stop: quiet during it, and its end is told": (
        {}, [(0, 230, "runs"), (2, "stopped"), (6,), (9,), (10, 200)],
        [(0, "raised"), (10, "closed")], "suppressed by design",
    ),
    "an unknown state of the line suppresses nothing": (
        {}, [(0, 200, "stopped"), (20, 230)],  # the state is ten minutes old at most
        [(20, "raised")], "unacknowledged",
    ),
    "a severity that is notified all the same": (
        {"suppression": {**STOPPED, "still_notify": ("critical",)}, "severity": "critical"},
        [(0, 230, "stopped")],
        [(0, "raised")], "unacknowledged",
    ),
    "it gets so bad that it is told all the same": (
        {"suppression": {**STOPPED, "still_notify": ["critical"]}, **LEVELS},
        [(0, 220, "stopped"), (2, 240)],
        [(2, "unmuted")], "unacknowledged",
    ),
    "a mute that ends during a stop leaves it suppressed": (
        {}, [(0, 200, "runs", muted(5)), (1, 230), (4, "stopped"), (6,), (7, "runs")],
        [(7, "unmuted")], "unacknowledged",
    ),
    "a delivery that waits for its receiver is not made during a stop": (
        {}, [(0, receivers_broken(True), 230, "runs"), (2, "stopped", receivers_broken(False)),
             (3,), (4, "runs")],
        [(4, "unmuted")], "unacknowledged",
    ),
}  # fmt: skip


def test_who_is_told_of_what_comes_while_the_line_stands():
    found = {}
    for name, (changes, story, _, _) in STORIES.items():
        platform = plant(Mailbox("mail"), **changes)
        heard = live(platform, *story)
        end = at(story[-1][0])
        state = operate.operator_state(platform, the_episode(platform), end)
        found[name] = (heard, isa_state(state.flags))
    assert found == {name: (heard, state) for name, (_, _, heard, state) in STORIES.items()}


def test_a_spike_that_outlasted_the_stop_is_told():
    mail = Mailbox("mail")
    platform = plant(mail)
    feed(platform, 0, 200, "stopped")
    feed(platform, 2, 230)
    feed(platform, 4, line="runs")
    feed(platform, 5, 200)
    run(platform, 10)
    assert [m.subject for m in mail.messages][:1] == ["MEDIUM: too-hot on oven-1"]


def test_what_came_and_went_is_counted_and_listed_and_what_is_unknown_is_said():
    platform = plant()
    live(platform, (1, 230, "stopped"), (2,), (3, 200))
    assert [t.kind for t in the_episode(platform).transitions][:2] == ["raised", "suppressed"]
    assert "line_state is stopped on line-1" in the_episode(platform).transitions[1].reason
    [target] = list_suppressed(platform, at(4), at(0)).targets
    assert (target.suppressed, target.reason) == (True, "line_state is stopped on line-1")
    live(platform, (5, "runs"), (7,))
    assert [e.id for e in list_suppressed(platform, at(7), at(0)).not_notified] == [
        the_episode(platform).id
    ]
    figures = alarm_quality(platform, at(0), at(7)).kpis
    assert (figures.alarms, figures.silent, figures.suppressed) == (0, 1, 1)
    [target] = list_suppressed(platform, at(16), at(0)).targets
    assert (target.suppressed, target.unknown) == (False, (UNKNOWN,))
    assert operate.operator_state(platform, the_episode(platform), at(16)).unknown == (UNKNOWN,)
    assert any(
        f"unknown state does not suppress it: {UNKNOWN}" in fact
        for fact in why(platform, "too-hot", "oven-1", at(16)).facts
    )


def test_a_backtest_counts_what_came_and_went_in_suppressed_times_apart():
    platform = plant()
    feed(platform, 0, 200, "runs")
    for minute, value in ((30, 230), (35, 200), (100, 230), (110, 200)):
        feed(platform, minute, value)
    for minute in range(0, 24 * 60, 5):
        feed(platform, minute, line="stopped" if 60 <= minute < 300 else "runs")
    platform.clock.instant = at(24 * 60)
    made = backtest(platform, named_subject(platform, "too-hot"), at(0), at(24 * 60))
    assert (made.load["episodes"], made.metrics["not_notified"], len(made.episodes)) == (1, 1, 2)
    assert "began and ended while the alert was suppressed by design" in made.page


def test_episodes_are_the_same_with_and_without_suppression():
    """Only people are told less: what is judged, opened and closed is the same."""

    def condition_intervals(suppression):
        platform = plant(suppression=suppression)
        for minute in range(0, 120, 3):
            state = "stopped" if 30 <= minute < 60 else "runs"
            feed(platform, minute, 230 if minute % 10 < 4 else 200, state)
            run(platform, minute + 1)
        return [(e.id, e.raised_at, e.closed_at) for e in platform.episodes.find()]

    assert condition_intervals(STOPPED) == condition_intervals(None)
    assert len(condition_intervals(None)) > 5


# --- another alert inhibits
# --------------------------------------------------------------------------------------------------

FIRE = {
    "name": "fire",
    "kind": "threshold",
    "assets": ["oven-1"],
    "variable": "temperature",
    "above": 260,
    "stale_after": "10h",
}
INHIBITED = too_hot(suppression={"while": {"definition": "fire"}}, stale_after="10h")
BOTH_OVER = {
    "No longer muted, still open: MEDIUM: too-hot on oven-1",
    "Over: fire on oven-1",
}


def with_fire(*channels):
    platform = plant(*channels)
    platform.assets.store_assets([oven().model_copy(update={"name": "oven-2"})])
    apply(platform, [FIRE, INHIBITED], "engineer", at(-1), "test")
    return platform


def test_no_notification_while_an_episode_of_another_alert_is_open_and_one_when_that_is_over():
    mail = Mailbox("mail")
    platform = with_fire(mail)
    live(platform, (1, 280), (3,))
    assert [m.subject for m in mail.messages] == ["MEDIUM: fire on oven-1"]
    assert "fire is open on oven-1" in platform.episodes.find("too-hot")[0].transitions[-1].reason
    assert "suppressed by design: fire is open on oven-1" in " ".join(
        why(platform, "too-hot", "oven-1", at(3)).facts
    )
    live(platform, (4, 230), (6,))
    assert {m.subject for m in mail.messages[1:]} == BOTH_OVER


@pytest.mark.parametrize("change", [{"state": "retired"}, {"assets": ["oven-2"]}])
def test_an_alert_that_is_no_longer_evaluated_ends_and_inhibits_nothing(change):
    mail = Mailbox("mail")
    platform = with_fire(mail)
    live(platform, (2, 280))
    apply(platform, [{**FIRE, **change}], "engineer", at(3), "test")
    run(platform, 4)
    assert platform.episodes.find("fire")[0].closed_at == at(3)
    assert {m.subject for m in mail.messages[-2:]} == BOTH_OVER
    assert "suppressed" not in " ".join(why(platform, "too-hot", "oven-1", at(4)).facts)


def test_a_backtest_inhibits_by_the_episodes_of_the_other_alert():
    platform = with_fire()
    live(platform, (1, 200), (2, 280), (4, 200), (6, 230), (8, 200), (9,))
    result = backtest(platform, named_subject(platform, "too-hot"), at(0), at(9))
    assert [e.raised_at for e in result.episodes] == [at(2), at(6)]
    assert result.metrics["not_notified"] == 1


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (too_hot(suppression={"while": {"definition": "too-hot"}}), "is this definition itself"),
        (
            too_hot(suppression={"while": {"definition": "fier"}}),
            "there is no definition 'fier' (did you mean fire?)",
        ),
        (
            {**FIRE, "suppression": {"while": [{"definition": "too-hot"}]}},
            "inhibits in a circle: fire → too-hot → fire",
        ),
    ],
)
def test_an_unknown_alert_and_a_circle_are_refused(document, fault):
    with pytest.raises(UserError) as refused:
        apply(with_fire(), [document], "engineer", at(0), "test")
    assert f"suppression.while.0.definition: {fault}" in str(refused.value)


def test_of_two_documents_of_one_look_that_inhibit_each_other_none_is_in_force():
    platform = plant()
    for name, other in (("a", "b"), ("b", "a"), ("c", "a")):
        inhibited = too_hot(name=name, suppression={"while": {"definition": other}})
        platform.definitions.store_document(inhibited)
    platform.definitions.store_document({**FIRE, "name": "d"})
    result = sync(platform, at(0))
    assert ([one.name for one in result.new], sorted(result.faulty)) == (["d"], ["a", "b", "c"])
    assert "there is no definition 'b'" in result.faulty["a"][0]
