"""Compare challenger and champion by the problems that they find, their false alarms on unseen
normal time, and the synthetic anomalies that they find there: each variable in turn shifted, and
swinging around its level."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from alerting.definitions.wording.language import count_in_english, spoken_share
from alerting.detection.suppressed_intervals import SuppressedInterval, touches
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.detectors import lasting_scores
from alerting.kinds.anomaly.model import AnomalyModel, FittedDetector
from alerting.kinds.anomaly.normal_rows import NormalRows, group_rows, rows_of
from alerting.kinds.anomaly.scored_strides import THRESHOLD, status_intervals
from alerting.kinds.normal_operation import (
    LEAST_ALLOWED,
    MOST_IN_ALARM,
    EpisodeRule,
    FoundProblems,
    align_horizon,
    compared_rows,
    count_found,
    is_too_many,
    last_break,
    propose_end,
    select_false,
    share_interval,
    simulate_alarms,
)
from alerting.kinds.training_protocol import Comparison, LearningData, NormalTime
from alerting.learning.score_metrics import poisson_interval
from alerting.learning.selection.decision import Objection, decide
from alerting.readings.history import Floats, duration_millis, to_millis
from alerting.readings.variable_series import Labels

_DAY_MS = 86_400_000
_WEEK_MS = 7 * _DAY_MS
_CHANGED = 24  # instants of each asset and category at which each variable in turn is changed
_SIZES = (1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # of a change, in deviations of the level
_Effects = Mapping[str, Callable[[Floats, Floats], Floats]]
_SHIFT: _Effects = {"mean": np.add, "min": np.add, "max": np.add}
"""Effect on each statistic of shifting all readings of its window by a size."""
_SWING: _Effects = {
    "std": np.hypot,
    "min": lambda values, size: values - np.abs(size),
    "max": lambda values, size: values + np.abs(size),
}
"""Effect on each statistic of readings that swing by a size around their level."""
_LOST = 0.05  # share of synthetic anomalies that a challenger may find less than the champion
_TITLES = (
    "false alarms on unseen time",
    "false alarms allowed there",
    "normal time in alarm",
    "problems found",
    "synthetic anomalies found",
)


class AnomalyEvidence(NamedTuple):
    """Results of one model on unseen time: false alarms in normal time (`weeks`), problems and
    synthetic anomalies that it found.

    `alarm_weeks`: normal time beyond the threshold; `variance`: its variance (weeks²) between
    `blocks` of a day. `leads_s`: of each found problem, as in `FoundProblems`.
    """

    false_alarms: int
    weeks: float
    allowed: float
    problems: int
    synthetic: int
    injected: int
    alarm_weeks: float = 0.0
    variance: float = 0.0
    blocks: int = 0
    leads_s: tuple[float, ...] = ()

    @property
    def in_alarm(self) -> float:
        """Return the share of normal time beyond the threshold."""
        return self.alarm_weeks / self.weeks if self.weeks else 0.0

    @property
    def how_found(self) -> FoundProblems:
        """Return which problems were found, and when."""
        return FoundProblems(self.problems, self.leads_s)

    def describe_rate(self, share: float | None) -> str:
        """Describe the rate reached on unseen normal time and the one that the definition asks for:
        a `share` of time, or false alarms a week."""
        if share is not None:
            return (
                f"{spoken_share(self.in_alarm)} of that time in alarm, {spoken_share(share)} asked"
            )
        limit = f"{self.allowed / self.weeks:.2g} asked" if self.weeks else "no time to count them"
        rate = f"{self.false_alarms / self.weeks:.2g} a week of normal time, " if self.weeks else ""
        return rate + limit

    def describe_interval(self, share: float | None) -> str:
        """Return the 95 % interval of the rate for statisticians; empty without normal time."""
        if not self.weeks:
            return ""
        if share is not None:
            low, high = share_interval(self.in_alarm, self.variance / self.weeks**2, self.blocks)
            return (
                f"In alarm {self.in_alarm:.2%} of unseen normal time, 95 % interval {low:.2%} to "
                f"{high:.2%} (Wilson over days)."
            )
        low, high = poisson_interval(self.false_alarms)
        return (
            f"False alarms a week of unseen normal time: {self.false_alarms / self.weeks:.2g}, "
            f"95 % interval {low / self.weeks:.2g} to {high / self.weeks:.2g} (exact)."
        )

    @property
    def is_too_many(self) -> bool:
        """Return whether so many false alarms are unlikely (5 %) at the allowed rate, or last too
        long."""
        return is_too_many(self.false_alarms, self.allowed, self.in_alarm)

    @property
    def share(self) -> float:
        """Return the share of the synthetic anomalies that the model finds."""
        return self.synthetic / self.injected if self.injected else float("nan")


def compare_models(
    definition: AnomalyDefinition,
    data: LearningData,
    family: str,
    challenger: AnomalyModel,
    champion: AnomalyModel | None,
) -> Comparison:
    """Decide on time after the training cutoffs of both models, on the assets for which both have a
    detector. Without evidence a person decides.

    An asset with a detector in the champion alone keeps that detector if the definition still
    includes the detector's variables.
    """
    period = data.period
    champion = align_horizon(champion, challenger)
    start = max([period.cutoff, *([champion.training_cutoff] if champion else [])])
    staying, lost = _only_in_champion(definition, data, challenger, champion)
    common = {*challenger.by_asset} & {*(champion or challenger).by_asset}
    new = _evidence(definition, challenger, data, start, common)
    old = None if champion is None else _evidence(definition, champion, data, start, common)
    added = _evidence(definition, challenger, data, start, {*challenger.by_asset} - common)
    compared = [*compared_rows(_TITLES, _texts(new), None if old is None else _texts(old))]
    numbers = new._asdict()
    del numbers["leads_s"]
    evidence = {"compared": compared, **new.how_found.to_document(), **numbers}
    metrics = {
        "unseen normal weeks": new.weeks,
        "false alarms": float(new.false_alarms),
        "false alarms allowed": new.allowed,
        "share of unseen normal time in alarm": new.in_alarm,
    }
    share = definition.threshold.time_in_alarm
    evidence["statistics"] = new.describe_interval(share)
    summary = _sentence(new, old, share) + "".join(
        f" {name} has no new detector: it keeps that in service." for name in staying
    )
    same = champion is not None and champion.hash == challenger.hash
    objections: dict[Objection, bool] = {
        "same_estimate": same,
        "lost_assets": bool(lost),
        "too_many_on_new_assets": added.is_too_many,
        **list_objections(new, old),
    }
    seen = None if champion is None else champion.training_cutoff
    longer = ""
    if new.allowed < LEAST_ALLOWED:
        longer = propose_end(period, new.allowed, seen, last_break(definition, data))
    facts = {
        "subject": "model is",
        "found": summary,
        "lost": ", ".join(lost),
        "in_alarm": spoken_share(new.in_alarm),
        "most_in_alarm": spoken_share(MOST_IN_ALARM),
        "least_allowed": LEAST_ALLOWED,
        "alone": ("" if new.problems else " Synthetic anomalies alone would decide.") + longer,
        "on_new_assets": added.false_alarms,
    }
    how = (
        " No problem or verdict lies in it: compared by false alarms and synthetic anomalies alone."
    )
    decision = decide(objections, facts, summary + ("" if new.problems else how), evidence)
    model = replace(challenger, by_asset={**challenger.by_asset, **staying})
    return Comparison(family, decision, metrics, model if staying and not same else None)


def _only_in_champion(
    definition: AnomalyDefinition,
    data: LearningData,
    challenger: AnomalyModel,
    champion: AnomalyModel | None,
) -> tuple[dict[str, FittedDetector], list[str]]:
    """Return the detectors that only the champion has, by asset, and the assets whose detector
    cannot be kept."""
    staying = dict[str, FittedDetector]()
    lost = list[str]()
    for asset in (history.asset for history in data.histories):
        fitted = None if champion is None else champion.by_asset.get(asset.name)
        if fitted is None or asset.name in challenger.by_asset:
            continue
        if {number.name for number in fitted.plan.numbers} <= definition.numbers_of(asset):
            staying[asset.name] = fitted
        else:
            lost.append(asset.name)
    return staying, lost


def list_objections(new: AnomalyEvidence, old: AnomalyEvidence | None) -> dict[Objection, bool]:
    """Return the objections that the evidence raises against the challenger."""
    return {
        "no_unseen_time": not new.weeks,
        "champion_raises_too_many": old is not None and old.is_too_many,
        "lasting_alarms": new.in_alarm > MOST_IN_ALARM,
        "too_many_alarms": new.is_too_many,
        "too_little_time": new.allowed < LEAST_ALLOWED,
        "fewer_problems": old is not None and new.how_found.detected < old.how_found.detected,
        "no_synthetic_time": not new.injected,
        "finds_no_anomaly": not new.how_found.detected and (new.problems > 0 or not new.synthetic),
        "fewer_synthetic": old is not None and not new.share >= old.share - _LOST,
    }


def _sentence(new: AnomalyEvidence, old: AnomalyEvidence | None, share: float | None) -> str:
    problems = new.how_found.describe()
    beside = (
        ""
        if old is None
        else f" The one in service: {old.false_alarms}, {old.how_found.detected}, {old.synthetic}."
    )
    alarms = count_in_english("{number} false alarm", "{number} false alarms", new.false_alarms)
    rate = new.describe_rate(share)
    return (
        f"On {7 * new.weeks:.2g} days of unseen normal time: {alarms} ({rate}); "
        f"{problems}; {new.synthetic} of {new.injected} synthetic anomalies found.{beside}"
    )


def _texts(evidence: AnomalyEvidence) -> tuple[str, ...]:
    synthetic = f"{evidence.synthetic} of {evidence.injected}"
    problems = evidence.how_found.describe()
    return (
        str(evidence.false_alarms),
        f"{evidence.allowed:.2g}",
        f"{evidence.in_alarm:.1%}",
        problems,
        synthetic,
    )


def _evidence(
    definition: AnomalyDefinition,
    model: AnomalyModel,
    data: LearningData,
    start: datetime,
    assets: Collection[str],
) -> AnomalyEvidence:
    """Return a model's results on unseen time after `start`, summed over these assets."""
    parts = []
    for history in data.histories:
        fitted = model.by_asset.get(history.asset.name)
        if fitted is not None and history.asset.name in assets:
            rows = rows_of(definition, fitted.plan, history, data, start, data.period.end)
            stated = model.with_measured_horizon(definition, [history.asset])
            muted = data.suppressed.get(history.asset.name, ())
            parts.append(_of_asset(stated, fitted, rows, muted, start, data.period))
    if not parts:
        return AnomalyEvidence(0, 0.0, 0.0, 0, 0, 0)
    sums: list[Any] = [sum(values) for values in zip(*(part[:-1] for part in parts), strict=True)]
    return AnomalyEvidence(*sums)._replace(
        leads_s=tuple(lead for part in parts for lead in part.leads_s)
    )


def _of_asset(
    definition: AnomalyDefinition,
    fitted: FittedDetector,
    rows: NormalRows,
    muted: Sequence[SuppressedInterval],
    since: datetime,
    period: NormalTime,
) -> AnomalyEvidence:
    """Return a detector's results on one asset over unseen time after `since`: false alarms are
    counted up to the end of normal operation, found problems up to the end of the period."""
    start = to_millis(since)
    end = to_millis(period.end)
    windows = fitted.windows(rows.categories, rows.at)
    scores = fitted.score(rows.matrix, windows.values)
    scores[windows.changes | ~rows.enough] = np.nan
    spans = [(to_millis(interval.start), to_millis(interval.end)) for interval in muted]
    scores[touches(spans, rows.at, 0, fitted.plan.longest_window_ms)] = np.nan
    intervals = status_intervals(definition, fitted, rows.at, scores, start + 1, end + 1)
    rule = EpisodeRule(
        definition.hold, definition.off_delay(fitted.clear_for), definition.severities()
    )
    raised = simulate_alarms(since, intervals, rule, definition.window)
    scores = np.nan_to_num(scores, nan=-np.inf)
    normal_end = to_millis(period.normal_end or period.end)
    rows = replace(rows, normal=rows.normal & ~windows.changes & (rows.at <= normal_end))
    stride = fitted.plan.stride_ms
    normal = rows.normal & fitted.is_known(rows.matrix)
    alarms = [a for a in select_false(raised, rows.problems) if a.raised <= normal_end]
    weeks = int(normal.sum()) * stride / _WEEK_MS
    allowed = weeks * definition.false_alarms_per_week
    if definition.threshold.time_in_alarm is not None:
        allowed = _allowed_by_share(definition, fitted, len(alarms), scores[normal])
    problems = [(a, b) for a, b in rows.problems if start < a <= end]
    hits, injected = _synthetic(fitted, rows, windows.values)
    lasting = lasting_scores(
        rows.at[normal], scores[normal], stride, duration_millis(definition.hold)
    )
    beyond = lasting >= THRESHOLD
    alarm_weeks = int(beyond.sum()) * stride / _WEEK_MS
    days = (rows.at[normal] - start) // _DAY_MS
    off = np.bincount(days, beyond - (beyond.mean() if len(beyond) else 0.0))
    variance = float((off**2).sum()) * (stride / _WEEK_MS) ** 2
    blocks = len(np.unique(days))
    return AnomalyEvidence(
        false_alarms=len(alarms),
        weeks=weeks,
        allowed=allowed,
        problems=len(problems),
        synthetic=hits,
        injected=injected,
        alarm_weeks=alarm_weeks,
        variance=variance,
        blocks=blocks,
        leads_s=count_found(problems, raised).leads_s,
    )


def _allowed_by_share(
    definition: AnomalyDefinition, fitted: FittedDetector, alarms: int, scores: Floats
) -> float:
    """Return the number of false alarms in the allowed share of time, if each lasts as long as the
    counted ones; as long as a window if none was counted."""
    rows = (
        int((scores >= THRESHOLD).sum()) / alarms
        if alarms
        else fitted.plan.longest_window_ms / fitted.plan.stride_ms
    )
    return len(scores) * (definition.threshold.time_in_alarm or 0.0) / max(rows, 1.0)


def _synthetic(fitted: FittedDetector, rows: NormalRows, categories: Labels) -> tuple[int, int]:
    """Return how many synthetic anomalies in unseen normal time the detector finds, and how many
    there are.

    Each variable in turn is shifted, and swings around its level. Sizes are in deviations of the
    variable in this time and category, so they are the same for every model.
    """
    hits = total = 0
    for category, which in group_rows(categories[rows.normal]).items():
        matrix = rows.matrix[rows.normal][which]
        chosen = matrix[:: max(1, len(matrix) // _CHANGED)][:_CHANGED]
        labels = np.full(len(chosen), category, object)
        sizes = np.resize([side * size for size in _SIZES for side in (1, -1)], len(chosen))
        for columns in fitted.columns_by_variable.values():
            if np.isnan(matrix[:, columns[0]]).all():
                continue
            size = sizes * np.nanstd(matrix[:, columns[0]])
            for effects in (_SHIFT, _SWING):
                changed = chosen.copy()
                for column in columns:
                    statistic = fitted.plan.layout[column].aggregation
                    if statistic in effects:
                        changed[:, column] = effects[statistic](changed[:, column], size)
                scores = fitted.score(changed, labels)
                total += int((~np.isnan(scores)).sum())
                hits += int((scores >= THRESHOLD).sum())
    return hits, total
