"""The input of a report; times without a known value are neither evaluated nor in alarm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from alerting.alarm_kpis.intervals import Interval, find_gaps, length, merge
from alerting.deferred import pd
from alerting.definitions.assets import Asset
from alerting.definitions.model import Definition, TrainedDefinition
from alerting.episodes.counting import CountedEpisode, PredictedEpisode, count_episodes
from alerting.episodes.episode import Episode, Outcome
from alerting.episodes.misses import ReportedMiss
from alerting.learning.metrics.graded_values import ServedValues
from alerting.readings.history import History, duration_millis, to_millis
from alerting.reporting.definition.decisions import DecisionMade
from alerting.reporting.figures.episode_chart import NO_MOVING_LEVELS, LevelsInForce

LEAST_BEFORE = 0.1
"""Share of a period's evaluated time from which on the period before is compared with it."""


@dataclass(frozen=True)
class ModelInService:
    """A model in service during the period, from `since` until `until` (None: still).

    `reason`: as it was recorded, in English; `summary`: for people, in every language.
    `importance`: of its most important variables, the mean size of their shares in a score; empty
    if it was not measured.
    """

    version: int
    since: datetime
    until: datetime | None
    provisional: bool
    run_id: str | None
    reason: str
    importance: Mapping[str, float] = field(default_factory=dict)
    summary: str = ""


@dataclass(frozen=True)
class Material:
    """The input of a report.

    `episodes`: those raised in [start - longest window, end); the ones before `start` only show
    which problems were announced. `problems`: DataFrame as `counted_problems` makes it with a
    column `asset`, known at `as_of`. `scores`: DataFrame `asset`, `ts`, `score`, `threshold`,
    `model_version`, `label` (1, 0, NaN while it cannot be known), and `persistence` (the last known
    value, signed so that higher is riskier; NaN without), `twin` (the score of the twin in shadow;
    NaN without, or no such column). Empty for definitions without a model. `evaluated`: per asset
    the interval [from, to) of the period in which the alert was evaluated; `gaps`: sorted intervals
    within it without any known value. `predicts`: see `detection.problems`. `not_notified`:
    episodes raised in the period without any notification, because they began and ended while the
    alert was suppressed by design; they are in none of the metrics. `in_maintenance`:
    those raised in maintenance, which are in none either. `unscored`: ids of those of whose time no
    scores are stored: no rate counts them, as `evaluated_time` does not count that time.
    `decisions`: promotion decisions up to `end`, oldest first. `histories`: readings by asset, from
    before `start` up to `as_of`. `withdrawn`: episodes of the period that late readings refuted.
    `previous`: the same of the period before, None if it is not
    compared. `misses`: reported by operators, oldest first; those that the data do not show are
    among the problems too. `verification`: how the model did by the values that came.
    `moving_levels`: of an asset in (start, end], the limits that change by themselves, by variable.
    `values`: those that a forecast said of the period, by asset, beside the samples.
    """

    definition: Definition
    revision: int
    start: datetime
    end: datetime
    as_of: datetime
    episodes: Sequence[Episode]
    problems: pd.DataFrame
    scores: pd.DataFrame
    models: Sequence[ModelInService]
    evaluated: Mapping[str, tuple[datetime, datetime]]
    predicts: Literal["onset", "state"] = "onset"
    not_notified: int = 0
    in_maintenance: int = 0
    unscored: Collection[str] = ()
    gaps: Mapping[str, Sequence[Interval]] = field(default_factory=dict)
    misses: Sequence[ReportedMiss] = ()
    decisions: Sequence[DecisionMade] = ()
    histories: Mapping[str, History] = field(default_factory=dict)
    withdrawn: int = 0
    previous: Material | None = None
    verification: str = ""
    values: Mapping[str, ServedValues] = field(default_factory=dict)
    moving_levels: Callable[[Asset, datetime, datetime], LevelsInForce] = lambda *_: (
        NO_MOVING_LEVELS
    )

    @property
    def raised(self) -> list[Episode]:
        """Return the episodes raised in the period, oldest first."""
        return sorted(
            (e for e in self.episodes if self.start <= e.raised_at < self.end),
            key=lambda e: (e.raised_at, e.id),
        )

    @property
    def asset_titles(self) -> dict[str, str]:
        """Return the titles of assets that have one; with the name where several have the same."""
        assets = [history.asset for history in self.histories.values()]
        times = Counter(asset.title for asset in assets)
        return {
            asset.name: asset.title if times[asset.title] == 1 else f"{asset.title} ({asset.name})"
            for asset in assets
            if asset.title
        }

    @property
    def evaluated_times(self) -> dict[str, timedelta]:
        """Return how long any value was known, by asset."""
        return {
            asset: length(self._without_gaps(asset, *interval))
            for asset, interval in self.evaluated.items()
        }

    @property
    def evaluated_time(self) -> timedelta:
        """Return how long any value was known, of all assets together."""
        return sum(self.evaluated_times.values(), timedelta(0))

    @property
    def comparable_previous(self) -> Material | None:
        """Return the period before if it was evaluated long enough beside this one: figures of its
        last minutes are none of a period."""
        before = self.previous
        if before is None or not before.evaluated:
            return None
        return before if before.evaluated_time >= LEAST_BEFORE * self.evaluated_time else None

    def in_alarm(self, episode: Episode) -> tuple[Interval, ...]:
        """Return the parts of an episode in which the alert was evaluated and a value was known."""
        if episode.asset not in self.evaluated:
            return ()
        start, end = self.evaluated[episode.asset]
        return tuple(
            self._without_gaps(
                episode.asset, max(episode.raised_at, start), min(ended_at(episode) or end, end)
            )
        )

    def _without_gaps(self, asset: str, start: datetime, end: datetime) -> list[Interval]:
        return find_gaps(merge(self.gaps.get(asset, ()), start, end), start, end)


def ended_at(episode: Episode) -> datetime | None:
    """Return the end of a prediction, an episode or its window; None while it has none."""
    return episode.ended_at or episode.valid_until


def as_counted(
    definition: Definition, episodes: Sequence[Episode]
) -> list[tuple[Episode, CountedEpisode]]:
    """Return the episodes of one asset in the order of time, each as metrics count it."""
    ordered = sorted(episodes, key=lambda e: (e.raised_at, e.id))
    if not isinstance(definition, TrainedDefinition):
        return [(e, CountedEpisode(to_millis(e.raised_at), _end_ms(e))) for e in ordered]
    window = definition.gap + definition.horizon
    ids = {e.id for e in ordered}
    predicted = [
        PredictedEpisode(
            to_millis(e.raised_at),
            _end_ms(e),
            to_millis(max(e.raised_at, (e.valid_until or e.raised_at + window) - window)),
            e.continues in ids,
        )
        for e in ordered
    ]
    gap = duration_millis(definition.window.after)
    horizon = duration_millis(definition.window.length)
    return [*zip(ordered, count_episodes(predicted, gap, horizon), strict=True)]


def _end_ms(episode: Episode) -> int:
    return to_millis(max(ended_at(episode) or episode.raised_at, episode.raised_at))


def outcome_of(episode: Episode) -> Outcome:
    """Return the outcome of an episode, undetermined where none is recorded."""
    return episode.outcome_record.outcome if episode.outcome_record else "undetermined"


def counted_outcomes(m: Material, without: Collection[str] = ()) -> Counter[Outcome]:
    """Return how often each outcome counts: a chain is one hit, an alarm without its problem one
    false alarm for each window that it began. `without`: ids of episodes that do not count."""
    counts: Counter[Outcome] = Counter()
    for asset in {e.asset for e in m.episodes}:
        has_hit = False
        for episode, counted in as_counted(
            m.definition, [e for e in m.episodes if e.asset == asset]
        ):
            has_hit = has_hit and counted.continues
            outcome = outcome_of(episode)
            is_inside = m.start <= episode.raised_at < m.end and episode.id not in without
            if outcome == "false_alarm":
                counts[outcome] += counted.false_alarms * is_inside
            elif outcome != "hit" or not has_hit:
                counts[outcome] += is_inside
            has_hit = has_hit or outcome == "hit"
    return counts
