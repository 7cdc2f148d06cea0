"""A draft beside what is in service, and the values that a preview draws."""

from time import monotonic

from alerting.ports import silent
from alerting.usecases.backtest.backtest import written_subject
from alerting.usecases.backtest.comparison import PreviewComparison, compare_alarms
from alerting.usecases.backtest.held_readings import HeldStore
from alerting.usecases.backtest.past_alarms import PastAlarm
from alerting.usecases.backtest.preview import preview
from alerting.usecases.definitions.sync import apply
from tests.builders import at, too_hot
from tests.helpers.console.often_hot import DAYS, often_hot

END = at(DAYS * 24 * 60)


def tried(platform, document):
    subject = written_subject(platform, document)
    return preview(platform, subject, at(0), END, silent, lambda: None, HeldStore(monotonic))


def alarm(minute, asset="oven-1", minutes=10):
    closed_at = None if minutes is None else at(minute + minutes)
    return PastAlarm(asset, at(minute), "medium", "medium", closed_at)


def test_alarms_that_overlap_on_an_asset_are_in_both():
    draft = [alarm(0), alarm(60), alarm(60, asset="oven-2")]
    served = [alarm(4), alarm(200), alarm(300, minutes=None)]
    assert compare_alarms(draft, served).count(7) == PreviewComparison(7, 2, 2, 1)
    assert compare_alarms(served, draft).count(7) == PreviewComparison(7, 2, 2, 1)
    assert compare_alarms([], []).count(7) == PreviewComparison(7, 0, 0, 0)
    assert compare_alarms(draft, served).both == (draft[0],)


def test_an_open_alarm_overlaps_what_comes_later():
    assert compare_alarms([alarm(0, minutes=None)], [alarm(500)]).count(1).both == 1


def test_a_draft_is_compared_with_the_revision_in_service_alone():
    platform = often_hot()
    assert tried(platform, too_hot()).compared is None
    apply(platform, [too_hot(above=240)], "ann", at(0), "first")
    assert tried(platform, too_hot()).compared == PreviewComparison(1, 12 * DAYS, 0, 0)
    assert tried(platform, too_hot(above=240)).compared is None  # it is the one in service
    apply(platform, [too_hot(above=240, state="draft")], "ann", at(1), "second")
    assert tried(platform, too_hot()).compared is None


def test_the_drawing_has_the_values_of_the_period_with_their_peaks_and_limits():
    platform = often_hot()
    drawn = tried(platform, too_hot()).drawn
    (panel,) = drawn.panels
    assert drawn.asset == "oven-1"
    assert (panel.values.min(), panel.values.max()) == (200.0, 230.0)
    assert [(level.value, level.label) for level in panel.levels] == [(215.0, "limit")]
    assert len(drawn.draft) == 12 * DAYS
    second = sorted(drawn.draft)[1]
    assert second == (at(120), at(130))


def test_suppressed_times_are_drawn():
    hours = {"windows": [{"days": ["mon"], "from": "06:00", "to": "08:00"}]}
    drawn = tried(often_hot(), too_hot(suppression=hours)).drawn
    assert (at(360), at(480)) in drawn.suppressed
