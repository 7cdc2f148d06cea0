"""Compare challenger and champion by the problems that they find, their false alarms on unseen
normal time, and the synthetic anomalies that they find there: each variable in turn shifted, and
swinging around its level."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

import numpy as np

from alerting.definitions.wording.language import (
    Styled,
    count_in_english,
    in_english,
    joined,
    spoken_number,
    spoken_share,
)
from alerting.detection.suppressed_intervals import touches
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.detectors import lasting_scores
from alerting.kinds.anomaly.injected_faults import inject_faults
from alerting.kinds.anomaly.model import AnomalyModel, FittedDetector
from alerting.kinds.anomaly.normal_rows import NormalRows, group_rows, rows_of
from alerting.kinds.anomaly.scored_strides import THRESHOLD, status_intervals
from alerting.kinds.normal_comparison import (
    MOST_IN_ALARM,
    UnseenEvidence,
    align_horizon,
    conclude,
    count_alarms,
    count_unseen,
    propose_more_time,
    spoken_days,
)
from alerting.kinds.normal_operation import LEAST_ALLOWED
from alerting.kinds.training_protocol import Comparison, LearningData
from alerting.learning.score_metrics import poisson_interval, wilson_interval
from alerting.learning.selection.decision_rules import Objection
from alerting.readings.history import DAY_MS, WEEK_MS, LongHistory, duration_millis, to_millis
from alerting.readings.variable_series import Labels

_CHANGED = 24  # instants of each asset and category at which each variable in turn is changed
_KINDS = "step", "spread"  # of faults: shifted, and swinging around its level
_LOST = 0.05  # share of synthetic anomalies that a challenger may find less than the champion


@dataclass(frozen=True)
class AnomalyEvidence(UnseenEvidence):
    """Evidence on a detector by normal time in weeks, and by the synthetic anomalies that it found
    of those `injected`.

    `variance`: of the normal time beyond the threshold (weeks²), between `blocks` of a day.
    """

    titles: ClassVar[tuple[str, ...]] = (
        "false alarms on unseen time",
        "false alarms allowed there",
        "normal time in alarm",
        "problems found",
        "synthetic anomalies found",
    )
    size: ClassVar[str] = "normal weeks"
    synthetic: int = 0
    injected: int = 0
    variance: float = 0.0
    blocks: int = 0

    @property
    def texts(self) -> tuple[str, ...]:
        return *super().texts, self.describe_problems(), f"{self.synthetic:,} of {self.injected:,}"

    @property
    def metrics(self) -> dict[str, float]:
        return super().metrics | {"share of unseen normal time in alarm": self.in_alarm}

    @property
    def share(self) -> float:
        """Return the share of the synthetic anomalies that the model finds."""
        return self.synthetic / self.injected if self.injected else float("nan")

    def describe_rate(self, share: float | None) -> str:
        """Describe the rate reached on unseen normal time and the one that the definition asks for:
        a `share` of time, or false alarms a week."""
        if share is not None:
            return (
                f"{spoken_share(self.in_alarm)} of that time in alarm, {spoken_share(share)} asked"
            )
        if not self.unseen:
            return "no time to count them"
        reached, allowed = (
            spoken_number(count / self.unseen, ".2g") for count in (self.false_alarms, self.allowed)
        )
        return f"{reached} a week of normal time, {allowed} asked"

    def describe_interval(self, share: float | None) -> str:
        """Return the 95 % interval of the rate for statisticians; empty without normal time."""
        if not self.unseen:
            return ""
        if share is not None:
            low, high = share_interval(self.in_alarm, self.variance / self.unseen**2, self.blocks)
            shares = {"share": self.in_alarm, "low": low, "high": high}
            return in_english(
                "In alarm {share} of unseen normal time, 95 % interval {low} to {high} (Wilson "
                "over days).",
                **{name: Styled(100 * share, ".2f %") for name, share in shares.items()},
            )
        low, high = poisson_interval(self.false_alarms)
        return (
            f"False alarms a week of unseen normal time: {self.false_alarms / self.unseen:.2g}, "
            f"95 % interval {low / self.unseen:.2g} to {high / self.unseen:.2g} (exact)."
        )

    def to_document(self) -> dict[str, Any]:
        return super().to_document() | {
            "false_alarms": self.false_alarms,
            "weeks": self.unseen,
            "allowed": self.allowed,
            "synthetic": self.synthetic,
            "injected": self.injected,
            "alarm_weeks": self.lasting,
            "variance": self.variance,
            "blocks": self.blocks,
        }


def share_interval(share: float, variance: float, blocks: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of time (Wilson). The `variance` between `blocks` of time
    gives the number of independent instants."""
    count = max(share * (1 - share) / variance if variance > 0 else 0.0, blocks, 1)
    return wilson_interval(share * count, count)


def compare_models(
    definition: AnomalyDefinition,
    data: LearningData,
    candidates: Mapping[str, AnomalyModel],
    champion: AnomalyModel | None,
) -> Comparison:
    """Decide on time after the training cutoffs of both models, on the assets for which both have a
    detector. Without evidence a person decides.

    An asset with a detector in the champion alone keeps that detector if the definition still
    includes the detector's variables.
    """
    [(family, challenger)] = candidates.items()
    champion = align_horizon(champion, challenger)
    start = max([data.period.cutoff, *([champion.training_cutoff] if champion else [])])
    staying = dict[str, FittedDetector]()
    lost = list[str]()
    for asset in (history.asset for history in data.histories):
        fitted = None if champion is None else champion.by_asset.get(asset.name)
        if fitted is not None and asset.name not in challenger.by_asset:
            if {number.name for number in fitted.plan.numbers} <= definition.numbers_of(asset):
                staying[asset.name] = fitted
            else:
                lost.append(asset.name)

    def count(model: AnomalyModel, assets: Collection[str]) -> AnomalyEvidence:
        counted = partial(_count_on, data=data, since=start)
        some = model.select_assets(assets)
        return count_unseen(definition, some, data.histories, counted, AnomalyEvidence())

    common = {*challenger.by_asset} & {*(champion or challenger).by_asset}
    new = count(challenger, common)
    old = None if champion is None else count(champion, common)
    added = count(challenger, {*challenger.by_asset} - common)
    keeping = [f"{name} has no new detector: it keeps that in service." for name in staying]
    if added.is_too_many:
        on_new = "On assets that the one in service does not watch: {number} false alarm"
        keeping.append(count_in_english(f"{on_new}.", f"{on_new}s.", added.false_alarms))
    if not new.is_enough:
        keeping.append(f"{LEAST_ALLOWED:g} false alarms must be allowed in the unseen time.")
        keeping += [] if new.problems else ["Synthetic anomalies alone would decide."]
    same = champion is not None and champion.hash == challenger.hash
    model = replace(challenger, by_asset={**challenger.by_asset, **staying})
    statistics = new.describe_interval(definition.threshold.time_in_alarm)
    compared = conclude(
        family,
        [new] if old is None else [new, old],
        {
            "same_estimate": same,
            "lost_assets": bool(lost),
            "too_many_on_new_assets": added.is_too_many,
            **list_objections(new, old),
        },
        {"assets": ", ".join(lost)},
        new,
        {**new.to_document(), "statistics": statistics},
        joined(" ", describe_comparison(definition, new, old), *keeping),
        model=model if staying and not same else None,
    )
    if compared.decision.objection != "too_little_time":
        return compared
    longer = propose_more_time(definition, data, new, champion)
    return replace(compared, decision=compared.decision.add_details(longer))


def list_objections(new: AnomalyEvidence, old: AnomalyEvidence | None) -> dict[Objection, bool]:
    """Return the objections that the evidence raises against the challenger."""
    return {
        "no_unseen_time": not new.unseen,
        "champion_raises_too_many": old is not None and old.is_too_many,
        "lasting_alarms": new.in_alarm > MOST_IN_ALARM,
        "too_many_alarms": new.is_too_many,
        "too_little_time": not new.is_enough,
        "finds_no_problem": new.problems > 0 and not new.problems_found,
        "fewer_problems": old is not None and new.problems_found < old.problems_found,
        "no_synthetic_time": not new.injected,
        "finds_no_anomaly": not new.problems and not new.synthetic,
        "fewer_synthetic": old is not None and not new.share >= old.share - _LOST,
    }


def describe_comparison(
    definition: AnomalyDefinition, new: AnomalyEvidence, old: AnomalyEvidence | None
) -> str:
    """Describe the evidence on a detector, beside that on the one in service, if there is one."""

    def describe(side: AnomalyEvidence, rate: str = "") -> str:
        alarms = count_in_english(
            "{number} false alarm", "{number} false alarms", side.false_alarms
        )
        synthetic = f"{side.synthetic:,} of {side.injected:,} synthetic anomalies found"
        problems = side.describe_problems() if side.problems else ""
        return "; ".join(filter(None, (problems, alarms + rate, synthetic)))

    rate = f" ({new.describe_rate(definition.threshold.time_in_alarm)})"
    without = "" if new.problems else "; no problem was there to find"
    beside = "" if old is None else f" The one in service: {describe(old)}."
    return (
        f"On {spoken_days(new.unseen)} of unseen normal time: {describe(new, rate)}{without}."
        f"{beside}"
    )


def _count_on(
    definition: AnomalyDefinition,
    fitted: FittedDetector,
    history: LongHistory,
    data: LearningData,
    since: datetime,
) -> AnomalyEvidence:
    """Return the evidence on a detector on one asset, from unseen time after `since`."""
    period = data.period
    start = to_millis(since)
    rows = rows_of(definition, fitted.plan, history, data, since, period.end)
    windows = fitted.windows(rows.categories, rows.at)
    scores = fitted.score(rows.matrix, windows.values)
    scores[windows.changes | ~rows.enough] = np.nan
    muted = data.suppressed.get(history.asset.name, ())
    spans = [(to_millis(interval.start), to_millis(interval.end)) for interval in muted]
    scores[touches(spans, rows.at, 0, fitted.plan.longest_window_ms)] = np.nan
    intervals = status_intervals(
        definition, fitted, rows.at, scores, start + 1, to_millis(period.end) + 1
    )
    alarms = count_alarms(
        definition, definition.hold, fitted.clear_for, intervals, rows.problems, since, period
    )
    scores = np.nan_to_num(scores, nan=-np.inf)
    normal_end = to_millis(period.normal_end or period.end)
    rows = replace(rows, normal=rows.normal & ~windows.changes & (rows.at <= normal_end))
    stride = fitted.plan.stride_ms
    normal = rows.normal & fitted.is_known(rows.matrix)
    weeks = int(normal.sum()) * stride / WEEK_MS
    allowed = weeks * definition.false_alarms_per_week
    if definition.threshold.time_in_alarm is not None:
        # as if each false alarm lasted as long as the counted ones; without any, as a window
        length = (
            int((scores[normal] >= THRESHOLD).sum()) / len(alarms.false)
            if alarms.false
            else fitted.plan.longest_window_ms / stride
        )
        allowed = int(normal.sum()) * definition.threshold.time_in_alarm / max(length, 1.0)
    hits, injected = _synthetic(fitted, rows, windows.values)
    hold = duration_millis(definition.hold)
    beyond = lasting_scores(rows.at[normal], scores[normal], stride, hold) >= THRESHOLD
    days = (rows.at[normal] - start) // DAY_MS
    off = np.bincount(days, beyond - (beyond.mean() if len(beyond) else 0.0))
    return AnomalyEvidence(
        len(alarms.false),
        weeks,
        allowed,
        int(beyond.sum()) * stride / WEEK_MS,
        alarms.problems,
        alarms.leads_s,
        hits,
        injected,
        variance=float((off**2).sum()) * (stride / WEEK_MS) ** 2,
        blocks=len(np.unique(days)),
    )


def _synthetic(fitted: FittedDetector, rows: NormalRows, categories: Labels) -> tuple[int, int]:
    """Return how many synthetic anomalies in unseen normal time the detector finds, and how many
    there are.

    Each variable in turn is shifted, and swings around its level.
    """
    hits = total = 0
    for category, which in group_rows(categories[rows.normal]).items():
        matrix = rows.matrix[rows.normal][which]
        chosen = matrix[:: max(1, len(matrix) // _CHANGED)][:_CHANGED]
        for columns in fitted.columns_by_variable.values():
            if np.isnan(matrix[:, columns[0]]).all():
                continue
            injected = inject_faults(fitted.plan, columns, matrix, chosen, chosen, _KINDS)
            changed = np.concatenate([*injected.values()])
            scores = fitted.score(changed, np.full(len(changed), category, object))
            total += int((~np.isnan(scores)).sum())
            hits += int((scores >= THRESHOLD).sum())
    return hits, total
