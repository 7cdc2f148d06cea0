"""A draft beside what is in service, and the values that a preview draws."""

from datetime import timedelta
from time import monotonic

from alerting.definitions.assets import EventType
from alerting.ports import EventRow, ReadingRow, silent
from alerting.usecases.backtest.backtest import written_subject
from alerting.usecases.backtest.cached_readings import SeriesCache
from alerting.usecases.backtest.comparison import PreviewComparison, compare_alarms
from alerting.usecases.backtest.past_alarms import PastAlarm
from alerting.usecases.backtest.preview import preview
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_events, add_readings
from tests.builders import at, too_hot, too_moist
from tests.helpers.console.often_hot import DAYS, often_hot

END = at(DAYS * 24 * 60)


def tried(platform, document):
    subject = written_subject(platform, document)
    return preview(platform, subject, at(0), END, silent, lambda: None, SeriesCache(monotonic))


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


def test_a_problem_that_events_show_is_drawn_beside_a_variable_of_its_asset():
    platform = often_hot()
    platform.assets.put_event_types([EventType(name="jam", duration="lasting")])
    jams = [EventRow("oven-1", "jam", at(60 * n), at(60 * n + 7), "test") for n in range(1, 6)]
    add_events(platform, jams, at(400))
    made = tried(platform, too_moist(problem={"event": "jam"}))
    found = made.problems
    assert (found.number, found.assets, found.are_few) == (5, 1, True)
    assert found.median == found.longest == timedelta(minutes=7)
    assert made.drawn.draft[0] == (at(60), at(67))
    assert [panel.name for panel in made.drawn.panels] == ["Zone 2 temperature"]


def flapping(of_a_day):
    """Return a line whose moisture swings about its limit, each time five times in 15 minutes."""
    platform = often_hot()
    bad = {120 * n + 3 * swing for n in of_a_day for swing in range(5)}
    rows = [
        ReadingRow("oven-1", at(m), {"moisture": 5.0 if m in bad else 4.0})
        for m in range(DAYS * 24 * 60)
    ]
    add_readings(platform, rows, at(0))
    return platform


def test_where_most_problems_begin_within_minutes_of_another_merge_within_is_proposed():
    document = too_moist(problem={"variable": "moisture", "above": 4.5})
    found = tried(flapping([1, 3, 6, 9]), document).problems
    assert (found.number, found.uncounted) == (20, 0)
    assert found.bursts.merged == 4
    assert found.bursts.remedy == "problem.merge_within: 5m"
    merged = {**document["problem"], "merge_within": "5m"}
    as_proposed = tried(flapping([1, 3, 6, 9]), too_moist(problem=merged)).problems
    assert (as_proposed.number, as_proposed.bursts) == (4, None)
    assert tried(flapping([1]), document).problems.bursts is None  # one alone: all are near


def test_a_preview_counts_problems_as_a_training_does():
    problem = {"variable": "moisture", "above": 4.5, "recovery": "30m"}
    platform = flapping([1, 3, 6, 9])
    found = tried(platform, too_moist(problem=problem)).problems
    assert (found.number, found.uncounted) == (4, 16)
    del problem["recovery"]
    of_units = tried(platform, too_moist(problem=problem, horizon="0s")).problems
    assert (of_units.number, of_units.bursts) == (20, None)
