"""Gather a report's or backtest's data: episodes, problems, scores and models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.alert_definition import (
    Definition,
    ModelDefinition,
    Revision,
    TrainedDefinition,
    fixed_threshold,
    matching_assets,
)
from alerting.definitions.asset_documents import Asset
from alerting.definitions.fields.condition_fields import Conditions
from alerting.definitions.fields.names_and_times import Interval, merge
from alerting.detection.combined_conditions import search_from
from alerting.detection.problem_occurrences import (
    counted_problems,
    find_occurrences,
    find_problems,
    first_lookback,
    predicts,
    problem_lookback,
)
from alerting.detection.suppressed_intervals import IntervalsByAsset, first_free, is_covered
from alerting.episodes.episode import Episode
from alerting.kinds.registry import has_score_each_stride, kind_of
from alerting.learning.data.dataset_rows import PROBLEM_COLUMNS
from alerting.learning.data.row_labels import label_instants, persistence
from alerting.learning.features.point_in_time import point_in_time_view
from alerting.learning.predicted_and_measured import ServedValues, compare_values
from alerting.ports import (
    DecisionRecord,
    Document,
    Readings,
    ReportPorts,
    SandboxPorts,
    WantedHistory,
)
from alerting.readings.history import (
    NO_TIME,
    History,
    Millis,
    from_millis,
    millis,
    to_millis,
    with_older,
)
from alerting.reporting.definition.decision_reason import DecisionMade, summarise_decision
from alerting.reporting.definition.decision_text import proposed_alert
from alerting.reporting.definition.period_data import Material, ModelInService
from alerting.reporting.episode_details import variable_of
from alerting.usecases.definitions.versions import answer_at, live_from, with_stored_features
from alerting.usecases.episodes.mutes_and_suppression import (
    maintenance_intervals,
    never_notified,
    suppressed_intervals_by_asset,
)
from alerting.usecases.episodes.outcomes import touched_by
from alerting.usecases.model_registry import ModelCache, with_horizon_in_service
from alerting.usecases.trend_samples import levels_in_force

_STORED_COLUMNS = ("asset", "ts", "score", "threshold", "model_version")
SCORE_COLUMNS = (*_STORED_COLUMNS, "label", "persistence", "twin")
_OF_ALARMS = ("event_recall", "episode_precision", "false_alarms_per_week")


@dataclass(frozen=True)
class _Sources:
    """Stored data for both periods of a report; `suppressed` and `histories` cover both.
    `maintenance`: times of maintenance, which `suppressed` contains too."""

    platform: ReportPorts | SandboxPorts
    revision: Revision
    definition: Definition
    assets: Sequence[Asset]
    suppressed: IntervalsByAsset
    maintenance: IntervalsByAsset
    histories: Mapping[str, History]
    problems: pd.DataFrame
    decisions: Sequence[DecisionRecord]
    as_of: datetime


def gather_material(
    platform: ReportPorts | SandboxPorts,
    revision: Revision,
    start: datetime,
    end: datetime,
    as_of: datetime,
    previous_start: datetime | None = None,
) -> Material:
    """Return the data of a report on [start, end) in the point-in-time view of as_of.

    `previous_start`: start of the previous period, which ends at `start` and is compared; None: no
    comparison.
    """
    definition = revision.definition
    if isinstance(definition, TrainedDefinition):
        definition = with_stored_features(platform.derived_features, definition)
    assets = matching_assets(definition, platform.assets.all())
    decisions = platform.decisions.for_definition(revision.name)
    definition = with_horizon_in_service(
        platform, definition.for_assets(assets), assets, decisions, as_of
    )
    first = previous_start or start
    histories = {
        a.name: platform.readings.load(
            WantedHistory(
                a, first - _before(definition, a), as_of, _variables_of(definition, a) or None
            )
        )
        for a in assets
    }
    sources = _Sources(
        platform=platform,
        revision=revision,
        definition=definition,
        assets=assets,
        suppressed=suppressed_intervals_by_asset(
            platform, definition, assets, first - definition.longest_window, as_of
        ),
        maintenance=maintenance_intervals(
            platform, definition, assets, first - definition.longest_window, as_of
        ),
        histories=histories,
        problems=_find_counted_problems(definition, histories, as_of),
        decisions=decisions,
        as_of=as_of,
    )
    material = _gather_period(sources, start, end)
    if previous_start is None:
        return material
    return replace(
        material,
        decisions=decisions_made(decisions, end, fixed_threshold(definition)),
        previous=_gather_period(sources, previous_start, start),
    )


def _gather_period(s: _Sources, start: datetime, end: datetime) -> Material:
    definition = s.definition
    every = s.platform.episodes.find(
        s.revision.name, start=start - definition.longest_window, end=end
    )
    valid = [e for e in every if not e.withdrawn]
    counted = [e for e in valid if not is_in_maintenance(s.maintenance, e)]
    suppression = definition.suppression
    episodes = [
        e
        for e in counted
        if not suppression
        or not never_notified(
            suppression,
            s.suppressed.get(e.asset, ()),
            e.raised_at,
            e.closed_at,
            e.severity_peak or e.severity,
            s.as_of,
        )
    ]
    notified = {e.id for e in episodes}
    touched = (touched_by(s.platform, e, s.as_of, None) for e in episodes if e.raised_at >= start)
    stored = list(s.platform.scores.for_interval(s.revision.name, start, end))
    scores = notifiable_scores(_scores(s, stored), s.suppressed)
    evaluated, gaps = _evaluated_intervals(s, scores, start, end)
    unscored = raised_unscored(definition, (e for e in episodes if e.raised_at >= start), stored)
    leave_out_deleted(evaluated, gaps, {e.asset for e in episodes if e.id in unscored})
    return Material(
        definition=definition,
        revision=s.revision.number,
        start=start,
        end=end,
        as_of=s.as_of,
        episodes=sorted(episodes, key=lambda e: e.raised_at),
        problems=notifiable_problems(s.problems, s.suppressed, s.maintenance, definition),
        scores=_label_scores(definition, s.histories, scores, s.as_of),
        values=_values(s, stored),
        models=_models(s.decisions, start, end, scores),
        evaluated=evaluated,
        gaps=gaps,
        predicts=predicts(definition, s.assets[0]) if s.assets else "onset",
        not_notified=sum(e.id not in notified and e.raised_at >= start for e in counted),
        in_maintenance=sum(
            e.raised_at >= start and is_in_maintenance(s.maintenance, e) for e in valid
        ),
        histories=s.histories,
        withdrawn=sum(e.withdrawn and e.raised_at >= start for e in every),
        unscored=unscored,
        blocks=[*filter(None, touched)],
        moving_levels=partial(levels_in_force, s.platform, ModelCache(s.platform), definition),
    )


def _variables_of(definition: Definition, asset: Asset) -> list[str]:
    """Return the variables that a report needs. A model's scores are stored, so its report needs
    only the variables that tell what came true."""
    if not isinstance(definition, TrainedDefinition):
        return sorted(definition.variables_read(asset))
    named = {*definition.problem.variables, definition.must_know, variable_of(definition)}
    named |= {v for mode in definition.mode_problems.values() for v in mode.variables}
    return sorted(name for name in named if name)


def _before(definition: Definition, asset: Asset) -> timedelta:
    """Return how long before the period readings matter, for problems and for values that are
    carried forward."""
    problem = definition.problem
    duration = timedelta(0)
    if problem is not None:
        duration = problem.hold + (problem.recovery or timedelta(0)) + problem_lookback(problem)
        duration += first_lookback(problem)
    inputs = kind_of(definition).inputs(definition, asset)
    return max(definition.gap + definition.horizon + duration, inputs.lookback + inputs.stale_after)


def _find_counted_problems(
    definition: Definition, histories: Mapping[str, History], as_of: datetime
) -> pd.DataFrame:
    frames = []
    for asset, history in histories.items():
        if definition.problem is not None:
            view = point_in_time_view(history, to_millis(as_of))
            problems = find_problems(definition.problem, view, definition.is_of_unit).assign(
                uncounted=False
            )
            if isinstance(definition, TrainedDefinition):
                is_onset = predicts(definition, history.asset) == "onset"
                problems = counted_problems(problems, find_occurrences(definition, view), is_onset)
            frames.append(
                problems[millis(problems["known_at"]) <= to_millis(as_of)].assign(asset=asset)
            )
    columns = [*PROBLEM_COLUMNS]
    return (
        pd.concat(frames, ignore_index=True)[columns] if frames else pd.DataFrame(columns=columns)
    )


def _values(s: _Sources, stored: Sequence[Document]) -> dict[str, ServedValues]:
    """Return the predicted values, by asset, beside the samples known at `as_of`."""
    definition = s.definition
    name = definition.must_know if isinstance(definition, TrainedDefinition) else None
    if name is None:
        return {}
    served = {
        asset: compare_values(
            [row for row in stored if row["asset"] == asset], history, name, definition.gap, s.as_of
        )
        for asset, history in s.histories.items()
    }
    return {asset: values for asset, values in served.items() if values is not None}


def _scores(s: _Sources, stored: Sequence[Document]) -> pd.DataFrame:
    """Return one score per asset and instant: the score of the model that evaluated it last."""
    scored = [row for row in stored if row["score"] is not None]
    frame = pd.DataFrame(scored).drop(columns=["values", "life"], errors="ignore")
    if frame.empty:
        return pd.DataFrame(columns=list(_STORED_COLUMNS))
    frame = frame.assign(preferred=frame["model_version"] == _version_at(s, frame))
    frame = frame.sort_values(["asset", "ts", "preferred", "model_version"]).drop_duplicates(
        ["asset", "ts"], keep="last"
    )
    return frame.drop(columns="preferred").reset_index(drop=True)


def _version_at(s: _Sources, frame: pd.DataFrame) -> npt.NDArray[np.int64]:
    """Return the version in force at each instant; before any, the last version that evaluated the
    instant."""
    past_evaluations = s.platform.past_evaluations.for_definition(s.revision.name)
    revisions = s.platform.definitions.revisions(s.revision.name)

    def version(instant: datetime) -> int:
        past_version = next(
            (r.model_version for r in reversed(past_evaluations) if r.start < instant <= r.end),
            None,
        )
        return answer_at(revisions, s.decisions, instant).version or past_version or -1

    by_instant = {t: version(t.to_pydatetime()) for t in frame["ts"].unique()}
    return np.array([by_instant[t] for t in frame["ts"]], np.int64)


def _label_scores(
    definition: Definition, histories: Mapping[str, History], scores: pd.DataFrame, as_of: datetime
) -> pd.DataFrame:
    """Return the scores with `label` (NaN while unknown) and `persistence`."""
    if not isinstance(definition, TrainedDefinition) or scores.empty:
        return pd.DataFrame(columns=list(SCORE_COLUMNS))
    frames = []
    for asset, part in scores.groupby("asset", sort=True):
        history = histories.get(str(asset))
        if history is None:
            continue
        at = millis(pd.DatetimeIndex(part["ts"]))
        view = point_in_time_view(history, to_millis(as_of))
        labels = label_instants(
            definition, predicts(definition, history.asset), view, at, to_millis(as_of)
        )
        label = np.where(labels.measured, labels.label.astype(np.float64), np.nan)
        frames.append(part.assign(label=label, persistence=persistence(definition, history, at)))
    return pd.concat(frames, ignore_index=True).reindex(columns=list(SCORE_COLUMNS))


def _models(
    decisions: Sequence[DecisionRecord], start: datetime, end: datetime, scores: pd.DataFrame
) -> list[ModelInService]:
    """Return the models in service in the period, and the models that evaluated it later."""
    promoted = [d for d in decisions if d.promoted and d.challenger_version is not None]
    followed = [*promoted[1:], None]
    evaluated_versions = set(scores["model_version"])
    return [
        ModelInService(
            version=d.challenger_version,
            since=d.acted_at,
            until=None if following is None else following.acted_at,
            provisional=d.provisional,
            run_id=d.run_id,
            reason=d.reason,
            importance=d.evidence.get("importance", {}).get("variables", {}),
            summary=summarise_decision(d),
        )
        for d, following in zip(promoted, followed, strict=False)
        if d.challenger_version is not None
        and (
            (d.at < end and (following is None or following.at > start))
            or d.challenger_version in evaluated_versions
        )
    ]


def _evaluated_intervals(
    s: _Sources, scores: pd.DataFrame, start: datetime, end: datetime
) -> tuple[dict[str, Interval], dict[str, tuple[Interval, ...]]]:
    """Return, by asset, the evaluated interval of the period and the gaps in it: the times without
    a score, or without data.

    It covers live evaluation up to the watermark and evaluations of past times, and ends with the
    last known value.
    """
    name = s.revision.name
    has_model = isinstance(s.definition, ModelDefinition)
    intervals = [
        (r.asset, r.start, r.end)
        for r in s.platform.past_evaluations.for_definition(name)
        if r.revision is not None and (r.model_version is not None or not has_model)
    ]
    began = live_from(s.platform.definitions.revisions(name), s.decisions)
    if began is not None:
        states = s.platform.states.load_many([(name, asset) for asset in s.histories])
        intervals += [
            (asset, began, from_millis(watermark))
            for asset, watermark in zip(s.histories, states.watermark.tolist(), strict=True)
            if watermark != NO_TIME
        ]
    evaluated: dict[str, Interval] = {}
    gaps: dict[str, tuple[Interval, ...]] = {}
    for asset, history in s.histories.items():
        mine = [
            (max(a, start), min(b, end))
            for of_asset, a, b in intervals
            if of_asset == asset and a < end and b > start
        ]
        if not mine:
            continue
        whole = (min(a for a, _ in mine), max(b for _, b in mine))
        unscored = unscored_times(s.definition, scores, asset, *whole)
        if unscored is None and not len(history.readings):
            continue
        interval, gaps[asset] = (
            without_end(whole, unscored)
            if unscored is not None
            else _trim_to_data(
                s.definition,
                _with_last_values(s.platform.readings, s.definition, history),
                whole,
                unfitted_times(s.decisions, asset, end),
            )
        )
        if interval[0] < interval[1]:
            evaluated[asset] = interval
    return evaluated, gaps


def _trim_to_data(
    definition: Definition,
    history: History,
    interval: Interval,
    unfitted: Sequence[Interval],
) -> tuple[Interval, tuple[Interval, ...]]:
    """Return the interval up to the last known value, and its gaps (also `unfitted`)."""
    gaps = tuple(kind_of(definition).unevaluated_intervals(definition, history, *interval))
    return without_end(interval, tuple(merge([*gaps, *unfitted], *interval)) if unfitted else gaps)


def _with_last_values(readings: Readings, definition: Definition, history: History) -> History:
    """Return the history with earlier last values, for conditions of several variables."""
    combination = definition.combination if isinstance(definition, Conditions) else None
    if combination is None:
        return history
    begin = history.readings.index[0].to_pydatetime() - timedelta(milliseconds=1)
    since: dict[str, datetime] = {}
    for condition in combination.leaves():
        since[condition.variable] = min(
            search_from(condition, begin), since.get(condition.variable, begin)
        )
    return with_older(history, readings.newest_values(history.asset, since, begin))


def decisions_made(
    records: Sequence[DecisionRecord], end: datetime, alarm_at: float | None = None
) -> list[DecisionMade]:
    """Return the decisions before `end`; a promotion without metrics has the metrics of the last
    one before it. `alarm_at`: a fixed threshold; metrics of alarms at another one are left out."""
    decisions: list[DecisionMade] = []
    expected: Mapping[str, float] = {}
    intervals: Mapping[str, tuple[float, float]] = {}
    for r in records:
        if r.at >= end:
            break
        is_comparable = alarm_at in (None, r.evidence.get("threshold"))
        stated = {
            k: v
            for k, v in r.evidence.get("expected", {}).items()
            if v is not None and (is_comparable or k not in _OF_ALARMS)
        }
        if stated or not r.promoted:
            expected = stated
            intervals = {
                k: (low, high)
                for k, (low, high) in r.evidence.get("expected_intervals", {}).items()
            }
        decisions.append(
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
                summary=summarise_decision(r),
                expected_intervals=intervals,
                alert=proposed_alert(r.evidence),
            )
        )
    return decisions


def unfitted_times(records: Sequence[DecisionRecord], asset: str, end: datetime) -> list[Interval]:
    """Return the times in which a model had learned nothing of an asset, because readings were too
    few."""
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


def notifiable_scores(scores: pd.DataFrame, suppressed: IntervalsByAsset) -> pd.DataFrame:
    """Return the rows of the scores outside suppressed intervals, which training leaves out too."""
    if not any(suppressed.values()) or scores.empty:
        return scores
    is_suppressed = np.zeros(len(scores), np.bool_)
    for asset, intervals in suppressed.items():
        of_asset = (scores["asset"] == asset).to_numpy()
        is_suppressed[of_asset] = is_covered(
            intervals, millis(pd.DatetimeIndex(scores["ts"][of_asset]))
        )
    return scores[~is_suppressed].reset_index(drop=True)


def is_in_maintenance(maintenance: IntervalsByAsset, episode: Episode) -> bool:
    """Return whether an episode was raised in maintenance, even if that was found later."""
    raised = episode.raised_at
    times = maintenance.get(episode.asset, ())
    return episode.maintenance is not None or first_free(times, raised) > raised


def notifiable_problems(
    problems: pd.DataFrame,
    suppressed: IntervalsByAsset,
    maintenance: IntervalsByAsset,
    definition: Definition,
) -> pd.DataFrame:
    """Return the rows of the problems whose warning time was not suppressed throughout, and that
    did not begin in maintenance."""
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
    """Return the times of (start, end] without a score of an asset, for a model that gives a score
    each stride; None for other definitions, and for a definition without an alarm.

    A score is the state until the next score is due, as a training counts its rows. The time before
    the first score, up to a stride, belongs to the stride under way at `start`.
    """
    if not has_score_each_stride(definition) or not definition.has_alarm:
        return None
    of_asset = scores[scores["asset"] == asset].sort_values("ts", kind="stable")
    if of_asset.empty:
        return ((start, end),)
    at = millis(pd.DatetimeIndex(of_asset["ts"]))
    known_until = np.maximum.accumulate(at + _strides(at, of_asset["model_version"].to_numpy()))
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
    the period, because older scores were deleted. Only for a model that gives a score each
    stride."""
    if not has_score_each_stride(definition):
        return frozenset()
    first: dict[str, datetime] = {}
    for row in stored:
        first[row["asset"]] = min(row["ts"], first.get(row["asset"], row["ts"]))
    return frozenset(e.id for e in episodes if e.asset not in first or e.raised_at < first[e.asset])


def without_end(
    interval: Interval, gaps: tuple[Interval, ...]
) -> tuple[Interval, tuple[Interval, ...]]:
    """Return the interval without a gap at its end, and the other gaps."""
    if gaps and gaps[-1][1] == interval[1]:
        return (interval[0], gaps[-1][0]), gaps[:-1]
    return interval, gaps


def leave_out_deleted(
    evaluated: dict[str, Interval], gaps: dict[str, tuple[Interval, ...]], assets: Iterable[str]
) -> None:
    """Let the evaluated interval of assets begin after a gap at its beginning: scores were deleted
    there, and no data were missing."""
    for asset in assets:
        first = gaps.get(asset, ())[:1]
        if asset in evaluated and first and first[0][0] == evaluated[asset][0]:
            evaluated[asset] = (first[0][1], evaluated[asset][1])
            gaps[asset] = gaps[asset][1:]


def _strides(at: Millis, version: npt.NDArray[np.int64]) -> Millis:
    """Return the stride (ms) of each score: the shortest time between two scores of its version."""
    stride = np.zeros(len(at), np.int64)
    for number in np.unique(version):
        of_version = version == number
        stride[of_version] = np.diff(at[of_version]).min() if of_version.sum() > 1 else 0
    return np.where(stride == 0, stride.max(), stride)
