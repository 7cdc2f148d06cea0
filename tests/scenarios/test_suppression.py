"""Suppression by design in the life of a plant: judged as ever, told to nobody, and told afterwards
what is still wrong."""

from datetime import timedelta

import pytest

from alerting.definitions.faults import UserError
from alerting.operators.actions import isa_state
from alerting.usecases.alarm_load.kpis import alarm_quality
from alerting.usecases.backtest.backtest import backtest, named_subject
from alerting.usecases.definitions.sync import apply, sync
from alerting.usecases.episodes.suppression import list_suppressed
from alerting.usecases.explain.explain import why
from alerting.usecases.operators import operate, shelving
from tests.builders import at, oven, too_hot
from tests.helpers.suppression import ANN, STOPPED, feed, plant, run
from tests.in_memory_platform import Mailbox


def said(mailbox):
    return [m.key.split(":")[1].split("-")[0] for m in mailbox.messages]


def the_episode(platform):
    [one] = platform.episodes.find()
    return one


def state(platform, minute):
    return isa_state(operate.operator_state(platform, the_episode(platform), at(minute)).flags)


def test_what_is_raised_while_the_line_stands_is_judged_as_ever_and_told_to_nobody():
    mail = Mailbox("mail")
    platform = plant(mail)
    feed(platform, 1, 200, "stopped")
    feed(platform, 3, 230)
    run(platform, 2, 4, 6)
    assert said(mail) == []
    assert (the_episode(platform).raised_at, the_episode(platform).condition) == (at(3), "open")
    assert state(platform, 6) == "suppressed by design"
    assert [t.kind for t in the_episode(platform).transitions] == ["raised", "suppressed"]
    assert "line_state is stopped on line-1" in the_episode(platform).transitions[-1].reason


def test_what_is_still_wrong_when_the_line_runs_again_is_told_then_and_once():
    mail = Mailbox("mail")
    platform = plant(mail)
    feed(platform, 1, 230, "stopped")
    run(platform, 2)
    feed(platform, 5, line="runs")
    run(platform, 6, 7, 8)
    assert said(mail) == ["unmuted"]
    assert state(platform, 8) == "unacknowledged"
    feed(platform, 9, 200, "runs")
    run(platform, 10)
    assert said(mail) == ["unmuted", "closed"]


def test_what_came_and_went_while_the_line_stood_is_told_never_but_counted_and_listed():
    mail = Mailbox("mail")
    platform = plant(mail)
    feed(platform, 1, 230, "stopped")
    run(platform, 2)
    feed(platform, 3, 200)
    run(platform, 4)
    feed(platform, 5, line="runs")
    run(platform, 6, 7)
    assert said(mail) == []
    found = list_suppressed(platform, at(7), at(0))
    assert [e.id for e in found.not_notified] == [the_episode(platform).id]
    figures = alarm_quality(platform, at(0), at(7)).kpis
    assert (figures.alarms, figures.silent, figures.suppressed) == (0, 1, 1)


def test_a_spike_that_outlasted_the_stop_is_told():
    mail = Mailbox("mail")
    platform = plant(mail)
    feed(platform, 0, 200, "stopped")
    feed(platform, 2, 230)
    feed(platform, 4, line="runs")
    feed(platform, 5, 200)
    run(platform, 10)
    assert said(mail)[:1] == ["raised"]


def test_an_alarm_that_was_told_before_the_stop_is_quiet_during_it_and_its_end_is_told():
    mail = Mailbox("mail")
    platform = plant(mail)
    platform.routes.store_document({"name": "all", "channels": ["mail"], "repeat": "2m"})
    feed(platform, 0, 230, "runs")
    run(platform, 1)
    feed(platform, 2, line="stopped")
    run(platform, 3, 6, 9)
    assert said(mail) == ["raised"]
    feed(platform, 10, 200)
    run(platform, 11)
    assert said(mail) == ["raised", "closed"]


def test_an_unknown_state_of_the_line_suppresses_nothing_and_says_so():
    mail = Mailbox("mail")
    platform = plant(mail)
    feed(platform, 0, 200, "stopped")
    feed(platform, 20, 230)  # the state is ten minutes old at most
    run(platform, 21)
    assert said(mail) == ["raised"]
    assert operate.operator_state(platform, the_episode(platform), at(21)).unknown == (
        "no reading of line_state within 10 min on line-1",
    )
    assert any(
        "unknown state does not suppress it: no reading of line_state" in fact
        for fact in why(platform, "too-hot", "oven-1", at(21)).facts
    )


def test_every_severity_is_suppressed_unless_the_definition_says_otherwise():
    for still_notify, told in (((), []), (("critical",), ["raised"])):
        mail = Mailbox("mail")
        platform = plant(
            mail, suppression={**STOPPED, "still_notify": still_notify}, severity="critical"
        )
        feed(platform, 0, 230, "stopped")
        run(platform, 1)
        assert said(mail) == told


def test_what_gets_so_bad_that_it_is_told_all_the_same_is_told_at_once():
    mail = Mailbox("mail")
    levels = {"medium": {"above": 215}, "critical": {"above": 230}}
    platform = plant(
        mail, suppression={**STOPPED, "still_notify": ["critical"]}, above=None, levels=levels
    )
    feed(platform, 0, 220, "stopped")
    run(platform, 1)
    assert said(mail) == []
    feed(platform, 2, 240)
    run(platform, 3)
    assert said(mail) == ["unmuted"]
    assert "CRITICAL" in mail.messages[0].subject.upper()


def test_a_shelf_that_ends_during_a_stop_leaves_the_alarm_suppressed():
    mail = Mailbox("mail")
    platform = plant(mail)
    feed(platform, 0, 200, "runs")
    shelving.shelve(platform, "too-hot", "oven-1", ANN, at(0), at(5), "cleaning")
    feed(platform, 1, 230)
    run(platform, 2)
    feed(platform, 4, line="stopped")
    run(platform, 5, 6)
    assert (said(mail), state(platform, 6)) == ([], "suppressed by design")
    feed(platform, 7, line="runs")
    run(platform, 8)
    assert said(mail) == ["unmuted"]


def test_a_delivery_that_waits_for_its_receiver_is_not_made_during_a_stop():
    mail = Mailbox("mail")
    platform = plant(mail)
    mail.broken = True
    feed(platform, 0, 230, "runs")
    run(platform, 1)
    feed(platform, 2, line="stopped")
    mail.broken = False
    run(platform, 3)
    assert said(mail) == []
    feed(platform, 4, line="runs")
    run(platform, 5)
    assert said(mail) == ["unmuted"]


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


def test_the_list_says_what_is_suppressed_and_what_cannot_be_known():
    platform = plant()
    feed(platform, 0, 200, "stopped")
    [target] = list_suppressed(platform, at(5), at(0)).targets
    assert (target.suppressed, target.reason) == (True, "line_state is stopped on line-1")
    [target] = list_suppressed(platform, at(15), at(0)).targets
    assert (target.suppressed, target.unknown) == (
        False,
        ("no reading of line_state within 10 min on line-1",),
    )


def test_episodes_are_the_same_with_and_without_suppression():
    """Only people are told less: what is judged, opened and closed is the same."""

    def condition_intervals(suppression):
        platform = plant(suppression=suppression)
        for minute in range(0, 120, 3):
            feed(
                platform,
                minute,
                230 if minute % 10 < 4 else 200,
                "stopped" if 30 <= minute < 60 else "runs",
            )
            run(platform, minute + 1)
        return [(e.id, e.raised_at, e.closed_at) for e in platform.episodes.find()]

    assert condition_intervals(STOPPED) == condition_intervals(None)
    assert condition_intervals(STOPPED)[0][1] - at(0) > timedelta(minutes=60)


FIRE = {
    "name": "fire",
    "kind": "threshold",
    "assets": ["oven-1"],
    "variable": "temperature",
    "above": 260,
    "stale_after": "10h",
}
INHIBITED = too_hot(suppression={"while": {"definition": "fire"}}, stale_after="10h")


def with_fire(*channels):
    platform = plant(*channels)
    apply(platform, [FIRE, INHIBITED], "engineer", at(-1), "test")
    return platform


def test_no_notification_while_an_episode_of_another_alert_is_open_and_one_when_that_is_over():
    mail = Mailbox("mail")
    platform = with_fire(mail)
    feed(platform, 1, 280)
    run(platform, 2, 3)
    assert [m.subject for m in mail.messages] == ["MEDIUM: fire on oven-1"]
    assert "fire is open on oven-1" in platform.episodes.find("too-hot")[0].transitions[-1].reason
    assert "suppressed by design: fire is open on oven-1" in " ".join(
        why(platform, "too-hot", "oven-1", at(3)).facts
    )
    feed(platform, 4, 230)
    run(platform, 5, 6)
    assert {m.subject for m in mail.messages[1:]} == {
        "No longer muted, still open: MEDIUM: too-hot on oven-1",
        "Over: fire on oven-1",
    }


@pytest.mark.parametrize("change", [{"state": "retired"}, {"assets": ["oven-2"]}])
def test_an_alert_that_is_no_longer_evaluated_ends_and_inhibits_nothing(change):
    mail = Mailbox("mail")
    platform = with_fire(mail)
    platform.assets.store_assets([oven().model_copy(update={"name": "oven-2"})])
    feed(platform, 1, 280)
    run(platform, 2)
    apply(platform, [{**FIRE, **change}], "engineer", at(3), "test")
    run(platform, 4)
    assert platform.episodes.find("fire")[0].closed_at == at(3)
    assert {m.subject for m in mail.messages[-2:]} == {
        "No longer muted, still open: MEDIUM: too-hot on oven-1",
        "Over: fire on oven-1",
    }
    assert "suppressed" not in " ".join(why(platform, "too-hot", "oven-1", at(4)).facts)


def test_a_backtest_inhibits_by_the_episodes_of_the_other_alert():
    platform = with_fire()
    for minute, value in ((1, 200), (2, 280), (4, 200), (6, 230), (8, 200)):
        feed(platform, minute, value)
        run(platform, minute + 1)
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
