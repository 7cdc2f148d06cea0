"""The data of a report that count: those outside of suppressed times and of maintenance, and where
a model knew the state; and the decisions up to its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from alerting.alarm_kpis.intervals import Interval
from alerting.deferred import pd
from alerting.definitions.fields.alarm import ALARM_RULE
from alerting.definitions.model import Definition
from alerting.detection.suppression import first_free, is_covered
from alerting.episodes.episode import Episode
from alerting.kinds.registry import has_score_each_stride
from alerting.learning.selection.promotion import IntervalsByAsset
from alerting.ports import DecisionRecord, Document
from alerting.readings.history import Millis, from_millis, millis, to_millis
from alerting.reporting.definition.decisions import DecisionMade, summarise_decision
from alerting.reporting.page.decision_text import proposed_alert

_OF_ALARMS = ("event_recall", "episode_precision", "false_alarms_per_week")


def decisions_made(records: Sequence[DecisionRecord], end: datetime) -> list[DecisionMade]:
    """Return the decisions before `end`; a promotion without metrics has the last ones."""
    found: list[DecisionMade] = []
    expected: Mapping[str, float] = {}
    intervals: Mapping[str, tuple[float, float]] = {}
    for r in records:
        if r.at >= end:
            break
        is_comparable = r.evidence.get("alarm_rule") == ALARM_RULE
        own = {
            k: v
            for k, v in r.evidence.get("expected", {}).items()
            if v is not None and (is_comparable or k not in _OF_ALARMS)
        }
        if own or not r.promoted:
            expected = own
            intervals = {
                k: (low, high)
                for k, (low, high) in r.evidence.get("expected_intervals", {}).items()
            }
        found.append(
            DecisionMade(
                at=r.at,
                verdict=r.verdict,
                promoted=r.promoted,
                version=r.challenger_version,
                champion=r.champion_version,
                reason=r.reason,
                actor=r.actor,
                run_id=r.run_id,
                expected=expected,
                summary=summary_of(r),
                expected_intervals=intervals,
                alert=proposed_alert(r.evidence),
            )
        )
    return found


def unfitted_times(records: Sequence[DecisionRecord], asset: str, end: datetime) -> list[Interval]:
    """Return when the model had nothing for an asset: too few readings to learn from."""
    fitted = {
        r.challenger_version: r.evidence["fitted_on"] for r in records if "fitted_on" in r.evidence
    }
    promoted = [r for r in records if r.promoted and r.at < end]
    ends = [*(following.at for following in promoted[1:]), end]
    return [
        (r.at, until)
        for r, until in zip(promoted, ends, strict=False)
        if r.challenger_version in fitted and asset not in fitted[r.challenger_version]
    ]


def summary_of(record: DecisionRecord) -> str:
    """Return why a decision was made, for people."""
    return summarise_decision(
        record.verdict, record.champion_version, record.actor, record.reason, record.evidence
    )


def notifiable_scores(scores: pd.DataFrame, suppressed: IntervalsByAsset) -> pd.DataFrame:
    """Return the scores outside suppressed intervals, which training leaves out too."""
    if not any(suppressed.values()) or scores.empty:
        return scores
    is_suppressed = np.zeros(len(scores), np.bool_)
    for asset, intervals in suppressed.items():
        here = (scores["asset"] == asset).to_numpy()
        is_suppressed[here] = is_covered(intervals, millis(pd.DatetimeIndex(scores["ts"][here])))
    return scores[~is_suppressed].reset_index(drop=True)


def is_in_maintenance(maintenance: IntervalsByAsset, episode: Episode) -> bool:
    """Return whether an episode was raised in maintenance, also one that was found later."""
    raised = episode.raised_at
    times = maintenance.get(episode.asset, ())
    return episode.maintenance is not None or first_free(times, raised) > raised


def notifiable_problems(
    problems: pd.DataFrame,
    suppressed: IntervalsByAsset,
    maintenance: IntervalsByAsset,
    definition: Definition,
) -> pd.DataFrame:
    """Return the problems whose warning time was not suppressed throughout, and that did not begin
    in maintenance."""
    if not any(suppressed.values()) or problems.empty:
        return problems

    def is_suppressed(asset: str, start: datetime) -> bool:
        if first_free(maintenance.get(asset, ()), start) > start:
            return True
        latest = start - definition.window.after
        return first_free(suppressed.get(asset, ()), latest - definition.window.length) >= latest

    notifiable = [
        not is_suppressed(str(a), s.to_pydatetime())
        for a, s in zip(problems["asset"], problems["start"], strict=True)
    ]
    return problems[notifiable].reset_index(drop=True)


def unscored_times(
    definition: Definition, scores: pd.DataFrame, asset: str, start: datetime, end: datetime
) -> tuple[Interval, ...] | None:
    """Return the times of (start, end] in which an asset has no score of a model that gives one
    each stride; None of other definitions, and of one without an alarm.

    A score is the state until the next one is due, as a training counts its rows. The time before
    the first one, up to a stride, is that of the stride under way at `start`.
    """
    if not has_score_each_stride(definition) or not definition.has_alarm:
        return None
    own = scores[scores["asset"] == asset].sort_values("ts", kind="stable")
    if own.empty:
        return ((start, end),)
    at = millis(pd.DatetimeIndex(own["ts"]))
    known_until = np.maximum.accumulate(at + _strides(at, own["model_version"].to_numpy()))
    first = to_millis(start)
    if at[0] - first <= known_until[0] - at[0]:
        first = int(at[0])
    begins = [first, *known_until.tolist()]
    return tuple(
        (from_millis(a), from_millis(b))
        for a, b in zip(begins, [*at.tolist(), to_millis(end)], strict=True)
        if a < b
    )


def raised_unscored(
    definition: Definition, episodes: Iterable[Episode], stored: Iterable[Document]
) -> frozenset[str]:
    """Return the ids of the episodes that were raised before their asset's first stored score of
    the period, of a model that gives one each stride: those of their time are deleted."""
    if not has_score_each_stride(definition):
        return frozenset()
    first: dict[str, datetime] = {}
    for row in stored:
        first[row["asset"]] = min(row["ts"], first.get(row["asset"], row["ts"]))
    return frozenset(e.id for e in episodes if e.asset not in first or e.raised_at < first[e.asset])


def without_end(
    interval: Interval, gaps: tuple[Interval, ...]
) -> tuple[Interval, tuple[Interval, ...]]:
    """Return the interval without a gap at its end, and the others."""
    if gaps and gaps[-1][1] == interval[1]:
        return (interval[0], gaps[-1][0]), gaps[:-1]
    return interval, gaps


def leave_out_deleted(
    evaluated: dict[str, Interval], gaps: dict[str, tuple[Interval, ...]], assets: Iterable[str]
) -> None:
    """Let the evaluated interval of assets begin after a gap at its begin: their scores are deleted
    there, and no data were missing."""
    for asset in assets:
        first = gaps.get(asset, ())[:1]
        if asset in evaluated and first and first[0][0] == evaluated[asset][0]:
            evaluated[asset] = (first[0][1], evaluated[asset][1])
            gaps[asset] = gaps[asset][1:]


def _strides(at: Millis, version: npt.NDArray[np.int64]) -> Millis:
    """Return the stride (ms) of each score: the shortest time between two of its version."""
    stride = np.zeros(len(at), np.int64)
    for one in np.unique(version):
        own = version == one
        stride[own] = np.diff(at[own]).min() if own.sum() > 1 else 0
    return np.where(stride == 0, stride.max(), stride)
