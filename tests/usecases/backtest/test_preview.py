"""A preview on held readings equals one made anew, and the backtest of the same draft; a draft
beside what is in service, and the values that a preview draws."""

from dataclasses import replace
from datetime import timedelta
from random import Random
from time import monotonic

import numpy as np
import pytest

from alerting.definitions.asset_documents import Asset, EventType, Variable
from alerting.ports import EventRow, ReadingRow, silent
from alerting.usecases.backtest.backtest import backtest, written_subject
from alerting.usecases.backtest.preview import SeriesCache, preview
from alerting.usecases.backtest.preview_chart import PastAlarm, PreviewComparison, compare_alarms
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_events, add_readings
from tests.builders import at, too_hot, too_moist
from tests.helpers.console.often_hot import DAYS, often_hot
from tests.in_memory_platform import in_memory_platform

END = at(DAYS * 24 * 60)
SPREAD = {"kind": "difference", "of": "temperature", "minus": "belt", "within": "20m"}
OVEN = Asset(
    name="oven-1",
    attributes={"limit": 214.0},
    variables={
        "temperature": Variable(unit="°C", low=100.0, high=300.0),
        "belt": Variable(),
        "spread": Variable(computed=SPREAD),
    },
)
NIGHTS = {"windows": [{"days": ["mon", "tue"], "from": "20:00", "to": "06:00"}]}
CHOICES = {
    "above": (208.0, 212.5, 215.0, 300.0, None),
    "below": (None, None, 190.0, 195.0),
    "for": ("0s", "5m", "12m"),
    "clear_for": ("0s", "10m"),
    "stale_after": ("5m", "17m", "1d"),
    "no_data": ("hold", "hold", "alert", "ignore"),
    "at_least": (None, None, {"readings": 2, "of": 3}),
    "rate_per": (None, None, None, "1h"),
    "suppression": (None, None, NIGHTS),
    "variable": ("temperature", "temperature", "spread"),
}
SEVERAL = {
    "variable": None,
    "above": None,
    "all": [
        {"variable": "temperature", "above": 210},
        {"variable": "belt", "below": 10, "stale_after": "2h"},
    ],
}
LEVELS = {"above": None, "levels": {"medium": {"above": 208}, "critical": {"above": 214}}}


def a_line(random, seed):
    """Return a platform of a noisy oven with holes, bad samples and values out of range."""
    made = in_memory_platform()
    made.assets.store_assets([OVEN])
    rows = []
    minute = -120.0
    level = 205.0
    while minute < DAYS * 24 * 60:
        minute += random.choice((1, 5, 5, 5, 7.5, 21 if random.random() < 0.1 else 5))
        minute += 600 if random.random() < 0.002 else 0
        level += random.uniform(-3, 3) + (205 - level) / 20
        values = {"temperature": round(level, 1)}
        if random.random() < 0.3:
            values["belt"] = round(random.uniform(5, 15), 1)
        if random.random() < 0.01:
            values["temperature"] = 900.0
        is_bad = random.random() < 0.01
        quality = {"temperature": "bad"} if is_bad else {}
        kept = {n: v for n, v in values.items() if n not in quality}
        rows.append(ReadingRow(OVEN.name, at(minute), kept, quality))
    add_readings(made, rows, at(0))
    made.clock.instant = END
    return made


def drafts(random):
    yield too_hot()
    yield too_hot(**SEVERAL)
    yield too_hot(**LEVELS)
    for _ in range(8):
        chosen = {name: random.choice(values) for name, values in CHOICES.items()}
        given = {name: value for name, value in chosen.items() if value is not None}
        if "rate_per" in given:
            given = {k: v for k, v in given.items() if k not in ("below", "no_data")}
            given["above"] = 20.0
        if "above" not in given and "below" not in given:
            given["above"] = 210.0
        yield {k: v for k, v in too_hot(above=None).items() if v is not None} | given


def without_nothing(document):
    return {name: value for name, value in document.items() if value is not None}


def tried(platform, document, store=None):
    """Return the preview of a document, made anew without a store."""
    store = store or SeriesCache(monotonic)
    return preview(
        platform, written_subject(platform, document), at(0), END, silent, lambda: None, store
    )


def said(episode):
    about = episode.evaluation
    return (
        *(episode.asset, episode.raised_at, episode.closed_at, episode.severity),
        *(episode.severity_peak, about.reason, about.value, about.threshold),
    )


def assert_same(one, other):
    plain = [replace(found, drawn=None) for found in (one, other)]
    assert plain[0] == plain[1]
    for panel, again in zip(one.drawn.panels, other.drawn.panels, strict=True):
        assert np.array_equal(panel.at, again.at)
        assert np.array_equal(panel.values, again.values)
        assert panel.levels == again.levels
    for name in ("draft", "served", "both", "suppressed", "asset"):
        assert getattr(one.drawn, name) == getattr(other.drawn, name)


OF_LOAD = ("per_day", "peak", "floods", "days_without", "episodes")


@pytest.mark.parametrize("seed", range(2))
def test_a_preview_on_cached_readings_equals_one_made_anew_and_the_backtest(seed):
    random = Random(seed)
    platform = a_line(random, seed)
    apply(platform, [too_hot(above=211)], "ann", at(0), "in service")
    store = SeriesCache(monotonic)
    raised = 0
    for document in map(without_nothing, drafts(random)):
        made = tried(platform, document, store)
        assert_same(made, tried(platform, document))
        found = backtest(platform, written_subject(platform, document), at(0), END, fresh=True)
        newest = sorted(found.episodes, key=lambda e: (e.raised_at, e.id), reverse=True)
        assert made.episodes == len(newest), document
        assert [said(e) for e in made.newest] == [said(e) for e in newest[:200]], document
        loads = [
            {name: load.get(name) for name in OF_LOAD} for load in (made.load, found.load or {})
        ]
        assert loads[0] == loads[1], document
        raised += made.episodes
    assert raised > 20


class Watched:
    """Port `Readings` that notes what is loaded."""

    def __init__(self, live):
        self._live = live
        self.loads = []

    def __getattr__(self, name):
        return getattr(self._live, name)

    def load(self, request):
        self.loads.append((request.start, request.end))
        return self._live.load(request)


@pytest.fixture
def watched():
    platform = a_line(Random(9), 9)
    return replace(platform, readings=Watched(platform.readings))


def test_the_period_is_read_once_and_a_changed_limit_reads_nothing(watched):
    store = SeriesCache(monotonic)
    apply(watched, [too_hot(above=211)], "ann", at(0), "in service")
    tried(watched, too_hot(above=212), store)
    assert watched.readings.loads == [(at(d * 1440), at((d + 1) * 1440)) for d in range(DAYS)]
    watched.readings.loads.clear()
    tried(watched, too_hot(above=207, **{"for": "10m"}), store)
    assert watched.readings.loads == []


def test_a_newer_reading_or_an_asset_that_is_declared_in_another_way_makes_it_read_again(watched):
    store = SeriesCache(monotonic)
    document = too_hot(above=212, stale_after="1d")
    before = tried(watched, document, store)
    watched.readings.loads.clear()
    add_readings(watched, [ReadingRow(OVEN.name, END, {"temperature": 299.0})], END)
    after = tried(watched, document, store)
    assert len(watched.readings.loads) == DAYS
    assert_same(after, tried(watched, document))
    assert before.read_at == after.read_at == END
    variables = {**OVEN.variables, "temperature": Variable(unit="°C", high=214.0)}
    watched.assets.store_assets([OVEN.model_copy(update={"variables": variables})])
    watched.readings.loads.clear()
    tried(watched, document, store)
    assert len(watched.readings.loads) == DAYS


def test_series_are_stored_for_a_time_and_within_a_size(watched):
    now = [0.0]
    store = SeriesCache(lambda: now[0], cached_s=600)
    tried(watched, too_hot(), store)
    size = store.bytes_used
    used = []
    for now[0] in (599.0, 601.0):
        used.append(store.bytes_used)
    assert used == [size, 0]
    assert size > 0
    small = SeriesCache(monotonic, most_bytes=size + 8)
    tried(watched, too_hot(), small)
    tried(watched, too_hot(variable="belt", above=14), small)  # takes the place of the other
    assert 0 < small.bytes_used <= size + 8
    watched.readings.loads.clear()
    tried(watched, too_hot(), small)
    assert len(watched.readings.loads) == DAYS
    none = SeriesCache(monotonic, most_bytes=8)
    assert tried(watched, too_hot(), none).episodes == tried(watched, too_hot(), store).episodes
    assert none.bytes_used == 0


def alarm(minute, asset="oven-1", minutes=10):
    closed_at = None if minutes is None else at(minute + minutes)
    return PastAlarm(asset, at(minute), "medium", "medium", closed_at)


def test_alarms_that_overlap_on_an_asset_are_in_both():
    draft = [alarm(0), alarm(60), alarm(60, asset="oven-2")]
    served = [alarm(4), alarm(200), alarm(300, minutes=None)]
    assert compare_alarms(draft, served).count(7) == PreviewComparison(7, 2, 2, 1)
    assert compare_alarms(served, draft).count(7) == PreviewComparison(7, 2, 2, 1)
    assert compare_alarms([], []).count(7) == PreviewComparison(7, 0, 0, 0)
    assert compare_alarms(draft, served).overlapping == (draft[0],)


def test_a_draft_is_compared_with_the_revision_in_service_alone():
    platform = often_hot()
    assert tried(platform, too_hot()).compared is None
    apply(platform, [too_hot(above=240)], "ann", at(0), "first")
    assert tried(platform, too_hot()).compared == PreviewComparison(1, 12 * DAYS, 0, 0)
    assert tried(platform, too_hot(above=240)).compared is None  # it is the one in service
    apply(platform, [too_hot(above=240, state="draft")], "ann", at(1), "second")
    assert tried(platform, too_hot()).compared is None


def test_the_drawing_has_the_values_of_the_period_with_their_peaks_and_limits():
    drawn = tried(often_hot(), too_hot()).drawn
    (panel,) = drawn.panels
    assert drawn.asset == "oven-1"
    assert (panel.values.min(), panel.values.max()) == (200.0, 230.0)
    assert [(level.value, level.label) for level in panel.levels] == [(215.0, "limit")]
    assert len(drawn.draft) == 12 * DAYS
    assert sorted(drawn.draft)[1] == (at(120), at(130))


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
    assert (found.number, found.uncounted, found.bursts.merged) == (20, 0, 4)
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
