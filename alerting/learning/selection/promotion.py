"""Champion against challenger on one unseen window: the decision, its reason, and its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.deferred import pd
from alerting.definitions.alert_definition import TrainedDefinition
from alerting.definitions.faults import format_duration
from alerting.definitions.wording.language import (
    Interval,
    Styled,
    Translatable,
    count_in_english,
    in_english,
    joined,
    spoken_share,
)
from alerting.detection.problem_occurrences import predicts
from alerting.detection.suppressed_intervals import IntervalsByAsset, SuppressedInterval
from alerting.episodes.prediction_rule import alarm_end_of
from alerting.learning.data.row_labels import Labels as InstantLabels
from alerting.learning.data.row_labels import label_instants
from alerting.learning.features.point_in_time import (
    build_features,
    evaluated_instants,
    is_known,
    point_in_time_view,
)
from alerting.learning.models.trained import TrainedModel
from alerting.learning.score_metrics import (
    Labels,
    WeightedPrecision,
    draw_blocks,
    evaluate_rows,
    time_blocks,
)
from alerting.learning.selection.decision import PromotionDecision, decide
from alerting.learning.selection.decision_rules import Objection
from alerting.learning.selection.operating_point import (
    ObservedRows,
    evaluate_threshold,
    observe_rows,
)
from alerting.readings.history import (
    DAY_MS,
    BoolArray,
    Floats,
    History,
    Millis,
    duration_millis,
    from_millis,
    to_millis,
)

ActedWindow = tuple[str, datetime, datetime]
SAMPLES = 500


@dataclass(frozen=True)
class CommonWindow:
    """Rows of one window (start, end] that both models scored and neither has learned from.

    `acted`: rows whose label window touches the outcome window of an episode on which operators
    acted; their label is not the truth. `measured`: rows with a known label. `observed`: the rows
    without `acted`, with the problems of which a warning was possible.
    """

    start: datetime
    end: datetime
    at: Millis
    observed: ObservedRows
    label: Labels
    acted: BoolArray
    measured: BoolArray
    challenger: Floats
    champion: Floats


def compare(
    definition: TrainedDefinition,
    challenger: TrainedModel,
    champion: TrainedModel | None,
    histories: Sequence[History],
    excluded: Sequence[ActedWindow],
    as_of: datetime,
    seed: int,
    suppressed: IntervalsByAsset = MappingProxyType({}),
) -> PromotionDecision:
    """Decide whether a challenger, which has exceeded chance out of fold, replaces the champion.

    Both are evaluated by the definition's labels on the window that begins after the later
    `training_cutoff` and the purge, and ends where labels are mature. Rows touched by `excluded`,
    the outcome windows (asset, start, end] of episodes on which operators acted, are excluded for
    both; the verdict must be the same when they count as positive and as negative, otherwise it is
    "cannot tell". `suppressed`: intervals of suppression by design, which are excluded. The
    challenger is promoted if it is better in at least `promotion.confidence` of paired block
    bootstrap samples of average precision.
    """
    if champion is None:
        return decide(
            {"no_champion": True},
            evidence={"challenger_seen_until": challenger.training_cutoff.isoformat()},
        )
    if champion.hash == challenger.hash:
        return decide({"same_model": True})
    start = comparison_start(definition, challenger, champion)
    window = common_window(
        definition, challenger, champion, histories, excluded, start, as_of, suppressed
    )
    if window is None:
        return without_label(start)
    return _decide(definition, window, challenger, champion, seed)


def without_label(start: datetime) -> PromotionDecision:
    """Return the decision where nothing is known after `start`, before which the models have
    learned."""
    return decide(
        {"no_mature_label": True},
        {"start": start},
        evidence={"window": {"start": start.isoformat(), "end": None}},
    )


def comparison_start(
    definition: TrainedDefinition, challenger: TrainedModel, champion: TrainedModel
) -> datetime:
    """Return the start of data that neither model has seen: later `training_cutoff` + gap, horizon,
    `for` and longest window."""
    purge = (
        definition.gap
        + definition.horizon
        + definition.problem.hold
        + timedelta(milliseconds=max(challenger.plan.reach_ms, champion.plan.reach_ms))
    )
    return max(challenger.training_cutoff, champion.training_cutoff) + purge


def common_window(
    definition: TrainedDefinition,
    challenger: TrainedModel,
    champion: TrainedModel,
    histories: Sequence[History],
    excluded: Sequence[ActedWindow],
    start: datetime,
    as_of: datetime,
    suppressed: IntervalsByAsset = MappingProxyType({}),
) -> CommonWindow | None:
    """Score both models on each instant of (start, as_of] that counts; None without a label."""
    window = to_millis(start), to_millis(as_of)
    spans = [suppressed.get(h.asset.name, ()) for h in histories]
    by_asset = zip(histories, spans, strict=True)
    parts = [
        _rows_of(definition, challenger, champion, h, excluded, s, *window) for h, s in by_asset
    ]
    rows = (
        pd.concat([scored for scored, _ in parts], ignore_index=True) if parts else pd.DataFrame()
    )
    if rows.empty or not rows["measured"].any():
        return None
    named = [
        (history.asset.name, labels) for history, (_, labels) in zip(histories, parts, strict=True)
    ]
    problems = [labels.problems.assign(asset=name) for name, labels in named]
    free = rows[~rows["acted"]]
    return CommonWindow(
        start=start,
        end=from_millis(int(rows["at"][rows["measured"]].max())),
        at=rows["at"].to_numpy(np.int64),
        observed=observe_rows(
            at=free["at"].to_numpy(np.int64),
            asset=free["asset"].to_numpy(object),
            measured=free["measured"].to_numpy(np.bool_),
            problems=pd.concat([p for p in problems if len(p)] or problems[:1], ignore_index=True),
            occurrences=pd.concat(
                [pd.DataFrame(labels.occurrences.columns(name)) for name, labels in named]
            ),
            onset=predicts(definition, histories[0].asset) == "onset",
            observed_s={
                str(a): n * definition.stride.total_seconds()
                for a, n in free["asset"].value_counts().items()
            },
            gap_ms=duration_millis(definition.window.after),
            horizon_ms=duration_millis(definition.window.length),
            alarm_end=alarm_end_of(definition, definition.stride),
        ),
        label=rows["label"].to_numpy(np.int8),
        acted=rows["acted"].to_numpy(np.bool_),
        measured=rows["measured"].to_numpy(np.bool_),
        challenger=rows["challenger"].to_numpy(np.float64),
        champion=rows["champion"].to_numpy(np.float64),
    )


def _rows_of(
    definition: TrainedDefinition,
    challenger: TrainedModel,
    champion: TrainedModel,
    history: History,
    excluded: Sequence[ActedWindow],
    suppressed: Sequence[SuppressedInterval],
    start: int,
    as_of: int,
) -> tuple[pd.DataFrame, InstantLabels]:
    """Return scored rows of one asset, and the labels of all its instants."""
    view = point_in_time_view(history, as_of)
    at = evaluated_instants(definition, challenger.plan, view, start, as_of)
    labels = label_instants(
        definition, predicts(definition, history.asset), view, at, as_of, suppressed
    )
    keep = labels.counted & is_known(definition, challenger.plan, view, at)
    at = at[keep]
    scores = {
        name: m.score(build_features(m.plan, view, at))
        for name, m in (("challenger", challenger), ("champion", champion))
    }
    acted = _is_touched(definition, at, [(s, e) for a, s, e in excluded if a == history.asset.name])
    beside = {"label": labels.label[keep], "measured": labels.measured[keep], "acted": acted}
    return pd.DataFrame({"asset": history.asset.name, "at": at, **beside, **scores}), labels


def _is_touched(
    definition: TrainedDefinition, at: Millis, windows: Sequence[tuple[datetime, datetime]]
) -> BoolArray:
    """Select rows whose label window (t + gap, t + gap + horizon] overlaps a (start, end]."""
    after = at + duration_millis(definition.window.after)
    until = at + duration_millis(definition.window.until)
    touched = np.zeros(len(at), np.bool_)
    for start, end in windows:
        touched |= (after < to_millis(end)) & (until > to_millis(start))
    return touched


@dataclass(frozen=True)
class _View:
    """One way to count the acted rows, and the comparison that results."""

    challenger_ap: float | None
    champion_ap: float | None
    difference_interval: list[float] | None
    share_better: float | None
    """Share of bootstrap samples in which the challenger is better."""
    samples: int


def _decide(
    definition: TrainedDefinition,
    window: CommonWindow,
    challenger: TrainedModel,
    champion: TrainedModel,
    seed: int,
) -> PromotionDecision:
    """Return the decision on a window with a label: the comparison of both models, and its
    evidence."""
    block_ms = max(
        DAY_MS, 2 * (duration_millis(definition.gap) + duration_millis(definition.horizon))
    )
    left_out = _view(window, window.measured & ~window.acted, window.label, block_ms, seed)
    bounds = {"positive": left_out, "negative": left_out}
    if window.acted.any():
        counted = {
            "positive": np.where(window.acted, 1, window.label),
            "negative": np.where(window.acted, 0, window.label),
        }
        bounds = {
            name: _view(window, window.measured, label.astype(np.int8), block_ms, seed)
            for name, label in counted.items()
        }
    free = ~window.acted
    models = {"challenger": challenger, "champion": champion}
    scores = {"challenger": window.challenger, "champion": window.champion}
    events = {
        name: evaluate_threshold(window.observed, scores[name][free], model.threshold, seed)
        for name, model in models.items()
    }
    n_events = events["challenger"].n_events
    observed = window.observed
    measured = free & window.measured
    label = window.label[measured]
    blocks = time_blocks(
        observed.at[observed.measured],
        observed.asset[observed.measured],
        observed.gap_ms,
        observed.horizon_ms,
    )
    evidence = {
        "window": {
            "start": window.start.isoformat(),
            "end": window.end.isoformat(),
            "rows": int(window.measured.sum()),
        },
        "events": n_events,
        "least_events": definition.promotion.least_events,
        "confidence": definition.promotion.confidence,
        "block": format_duration(timedelta(milliseconds=block_ms)),
        "seed": seed,
        "acted_rows": int((window.acted & window.measured).sum()),
        "acted_left_out": asdict(left_out),
        **{f"acted_as_{name}": asdict(view) for name, view in bounds.items()},
        "rows": {
            name: evaluate_rows(label, scores[name][measured], blocks, seed) for name in models
        },
        "at_threshold": {name: metrics.to_document() for name, metrics in events.items()},
        "thresholds": {name: model.threshold for name, model in models.items()},
        "training_cutoff": {
            name: model.training_cutoff.isoformat() for name, model in models.items()
        },
    }
    return _verdict(definition, window, left_out, bounds, n_events, evidence)


def _verdict(
    definition: TrainedDefinition,
    window: CommonWindow,
    left_out: _View,
    bounds: Mapping[str, _View],
    n_events: int,
    evidence: dict[str, Any],
) -> PromotionDecision:
    promotion = definition.promotion
    better = [
        way.share_better is not None and way.share_better >= promotion.confidence
        for way in (left_out, *bounds.values())
    ]
    details = in_english(
        "On readings that neither had seen ({period}) {challenger} and {champion}.",
        period=Interval(window.start, window.end),
        **{name: _describe_alarms(evidence, name) for name in ("challenger", "champion")},
    )
    if left_out.share_better is not None:
        evidence["statistics"] = (
            f"The challenger's average precision is {left_out.challenger_ap:.3f}, the champion's "
            f"{left_out.champion_ap:.3f}; it is better in {spoken_share(left_out.share_better)} of "
            f"{left_out.samples} samples ({spoken_share(promotion.confidence)} needed)."
        )
    if is_open := len(set(better)) > 1:
        shares = {name: _share_of_samples(view) for name, view in bounds.items()}
        of_acted = in_english(
            "With the {acted} rows of acted-upon episodes it is better in {positive} of the "
            "samples if they count as problems, in {negative} if not.",
            acted=Styled(int(window.acted.sum()), "count"),
            **shares,
        )
        evidence["statistics"] = str(joined(" ", evidence.get("statistics", ""), of_acted))
    objections: dict[Objection, bool] = {
        "too_few_problems": n_events < promotion.least_events,
        "one_class": left_out.share_better is None,
        "verdict_by_acted_rows": is_open,
        "not_better": not better[0],
    }
    values = {"number": n_events, "least": promotion.least_events}
    return decide(objections, values, "better", evidence, details)


def _share_of_samples(view: _View) -> Styled | str:
    return "an unknown share" if view.share_better is None else Styled(view.share_better, "share")


def _describe_alarms(evidence: Mapping[str, Any], model: str) -> Translatable:
    """Describe what one of both models found: `the champion found 3 (2 false alarms)`."""
    met = evidence["at_threshold"][model]
    count = met["n_false_alarms"]
    alarms = count_in_english("{number} false alarm", "{number} false alarms", count)
    return in_english(
        "the {model} found {number} ({alarms})",
        model=model,
        number=Styled(met["n_found"], "count"),
        alarms=alarms if count else "no false alarm",
    )


def _view(window: CommonWindow, keep: BoolArray, label: Labels, block_ms: int, seed: int) -> _View:
    """Bootstrap the difference in average precision over paired time blocks across all assets
    (Künsch 1989)."""
    label = label[keep]
    mine = window.challenger[keep]
    theirs = window.champion[keep]
    if not 0 < label.sum() < len(label):
        return _View(None, None, None, None, 0)
    _, block = np.unique(window.at[keep] // block_ms, return_inverse=True)
    differences = paired_differences(label, mine, theirs, block, seed)
    ones = np.ones(len(label))
    has_any = len(differences) > 0
    return _View(
        WeightedPrecision(label, mine).average(ones),
        WeightedPrecision(label, theirs).average(ones),
        np.quantile(differences, [0.025, 0.975]).tolist() if has_any else None,
        float(np.mean(differences > 0)) if has_any else None,
        len(differences),
    )


def paired_differences(
    label: Labels, mine: Floats, theirs: Floats, block: npt.NDArray[np.int64], seed: int
) -> Floats:
    """Return average precision of `mine` minus that of `theirs` in each bootstrap sample of whole
    blocks (their numbers by row).

    Empty with one class only; samples that have one class only are excluded.
    """
    if not 0 < label.sum() < len(label):
        return np.empty(0)
    first = WeightedPrecision(label, mine)
    second = WeightedPrecision(label, theirs)
    differences = np.array(
        [
            first.average(count[block]) - second.average(count[block])
            for count in draw_blocks(block, seed, SAMPLES)
        ]
    )
    return np.asarray(differences[~np.isnan(differences)], np.float64)
