from datetime import timedelta

import numpy as np
import pytest

from alerting.alarm_kpis.metrics import TARGETS
from alerting.definitions.faults import UserError
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.evaluation.evaluate import evaluate
from alerting.usecases.notification.deliver import deliver_due
from alerting.usecases.operations.alarm_kpis import alarm_quality, read_targets
from alerting.usecases.operators import operate
from tests.builders import at, oven, too_hot
from tests.helpers.episodes import closed, episode
from tests.pretended import Mailbox, pretended_platform


@pytest.fixture
def platform():
    made = pretended_platform(Mailbox("mail"))
    made.assets.put([oven(), oven().model_copy(update={"name": "oven-2"})])
    apply(made, [too_hot(assets=["oven-*"])], "engineer", at(0), "test")
    return made


def chattering_line(platform, minutes=6):
    values = 214.9 + np.random.default_rng(0).normal(0, 0.5, minutes * 60)
    rows = [ReadingRow("oven-1", at(s / 60), {"temperature": float(v)}) for s, v in enumerate(values, 1)]
    platform.readings.add_readings(rows, at(0))
    for minute in range(1, minutes + 1):
        platform.clock.instant = at(minute)
        evaluate(platform, None, at(minute))


def test_what_chatters_gets_advice_that_ends_it_when_it_is_applied(platform):
    chattering_line(platform)
    found = alarm_quality(platform, at(0), at(6))
    assert found.kpis.alarms > 30
    [advice] = found.advice
    assert (advice.definition, advice.asset) == ("too-hot", "oven-1")
    for proposal in advice.proposals:
        quiet = pretended_platform(Mailbox("mail"))
        quiet.assets.put(platform.assets.all())
        apply(quiet, [too_hot(assets=["oven-*"], **proposal.change)], "engineer", at(0), "advice taken")
        chattering_line(quiet)
        assert len(quiet.episodes.find(limit=500)) == pytest.approx(proposal.raises_after, abs=1)
        assert alarm_quality(quiet, at(0), at(6)).advice == ()


def test_only_the_assets_that_are_asked_for_count(platform):
    for asset in ("oven-1", "oven-2", "press-1"):
        platform.episodes.insert(closed(episode(10, asset=asset)))
    counts = [alarm_quality(platform, at(0), at(60), pattern).kpis.alarms for pattern in (None, "oven-*", "oven-2", "nothing")]
    assert counts == [3, 2, 1, 0]


def test_old_alarms_that_are_still_open_are_stale_in_this_period(platform):
    platform.episodes.insert(episode(-60 * 24 * 40))
    platform.episodes.insert(closed(episode(-60 * 24 * 40, asset="oven-2")))
    found = alarm_quality(platform, at(0), at(60)).kpis
    assert (found.alarms, len(found.stale), found.stale[0].active_for) == (0, 1, timedelta(days=40, hours=1))


def test_what_is_muted_now_is_told_and_what_nobody_heard_is_not_counted(platform):
    operate.shelve(platform, "too-hot", "oven-1", operate.Actor("ann", "operator"), at(0), at(300), "start-up")
    platform.readings.add_readings([ReadingRow("oven-1", at(m), {"temperature": v}) for m, v in ((5, 230), (9, 200))], at(0))
    platform.clock.instant = at(10)
    for minute in (6, 10):
        evaluate(platform, None, at(minute))
        deliver_due(platform, at(minute))
    found = alarm_quality(platform, at(0), at(60))
    assert (found.kpis.alarms, found.kpis.silent, [s.reason for s in found.muted]) == (0, 1, ["start-up"])


def test_targets_are_settings():
    changed = read_targets(["most=5", "stale_after=8h", "top_share=0.2"])
    assert (changed.most, changed.stale_after, changed.top_share) == (5, timedelta(hours=8), 0.2)
    assert read_targets([]) == TARGETS


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("nothing=1", "there is no target"),
        ("most=many", "is not a value such as 10"),
        ("stale_after=1", "stale_after"),
        ("most=-1", "negative"),
    ],
)
def test_a_target_that_is_none_is_refused(setting, words):
    with pytest.raises(UserError, match=words):
        read_targets([setting])


def test_an_empty_period_is_refused(platform):
    with pytest.raises(UserError, match="must lie before"):
        alarm_quality(platform, at(5), at(5))
