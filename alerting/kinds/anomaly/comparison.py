"""Challenger or champion: problems where there are some, false alarms on unseen normal time, and synthetic anomalies there."""

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

import numpy as np
from scipy.stats import poisson

from alerting.detection.anomalies.injection import TYPES, inject
from alerting.detection.anomalies.threshold import first_of_clusters, lasting_scores
from alerting.kinds.anomaly.definition import AnomalyDefinition
from alerting.kinds.anomaly.evaluate import THRESHOLD
from alerting.kinds.anomaly.model import AnomalyModel, FittedDetector
from alerting.kinds.anomaly.normal_time import NormalRows, rows_of
from alerting.kinds.training import Comparison, LearningData
from alerting.learning.features.build import build_features
from alerting.learning.models.trained import Floats
from alerting.learning.selection.promotion import PromotionDecision
from alerting.readings.history import History, Millis, duration_millis, to_millis

_TOO_MANY = 0.05  # probability of so many false alarms by chance, below which there are too many
_WEEK_MS = 7 * 86_400_000
_ANOMALIES = 10  # of each type and asset
_LOST = 0.05  # share of synthetic anomalies that a challenger may find less than the champion


class Evidence(NamedTuple):
    """What one model does on unseen time: false alarms in normal rows (`weeks`), problems found, synthetic anomalies found."""

    false_alarms: int
    weeks: float
    allowed: float
    found: int
    problems: int
    synthetic: int
    injected: int

    @property
    def is_too_many(self) -> bool:
        """Return whether so many false alarms are unlikely (5 %) at the rate that is allowed."""
        return self.false_alarms > 0 and float(poisson.sf(self.false_alarms - 1, self.allowed)) < _TOO_MANY

    @property
    def share(self) -> float:
        """Return the share of synthetic anomalies that it finds."""
        return self.synthetic / self.injected if self.injected else float("nan")


def compare_models(
    definition: AnomalyDefinition, data: LearningData, family: str, challenger: AnomalyModel, champion: AnomalyModel | None
) -> Comparison:
    """Decide on time after the cutoffs of both. Without evidence a person decides."""
    period = data.period
    start = max([period.unseen_from or period.cutoff, *([champion.training_cutoff] if champion else [])])
    new = _evidence(definition, challenger, data, start)
    old = None if champion is None else _evidence(definition, champion, data, start)
    compared = [*_rows(new, old)]
    evidence = {"compared": compared, **new._asdict()}
    metrics = {"unseen normal weeks": new.weeks, "false alarms": float(new.false_alarms), "false alarms allowed": new.allowed}
    if champion is not None and champion.hash == challenger.hash:
        return Comparison(family, PromotionDecision("keep", False, False, "The model is the same.", evidence), False, metrics)
    counted = _sentence(new, old)
    verdict = objection(new, old)
    if verdict:
        reason = f"{counted} {verdict} It goes into service only if a person approves."
        return Comparison(family, PromotionDecision("provisional", True, True, reason, evidence), True, metrics)
    how = "" if new.problems else " No problem or verdict lies in it: compared by false alarms and synthetic anomalies alone."
    return Comparison(family, PromotionDecision("promote", True, False, counted + how, evidence), False, metrics)


def objection(new: Evidence, old: Evidence | None) -> str:
    """Return why a person must decide; empty if the evidence is for the challenger."""
    if not new.weeks:
        return "There is no unseen normal time on which its false alarms could be counted."
    if new.is_too_many:
        return "These false alarms are too many."
    if old is not None and new.problems and new.found < old.found:
        return "It finds fewer of the problems than the one in service."
    if not new.injected:
        return "There is no unseen time for synthetic anomalies."
    if old is not None and not new.share >= old.share - _LOST:
        return "It finds fewer synthetic anomalies than the one in service."
    return ""


def _sentence(new: Evidence, old: Evidence | None) -> str:
    problems = f"{new.found} of {new.problems} problems found" if new.problems else "no problem to find"
    beside = "" if old is None else f" The one in service: {old.false_alarms}, {old.found}, {old.synthetic}."
    return (
        f"On {7 * new.weeks:.2g} days of unseen normal time {new.false_alarms} false alarms, {new.allowed:.2g} allowed; "
        f"{problems}; {new.synthetic} of {new.injected} synthetic anomalies found.{beside}"
    )


def _rows(new: Evidence, old: Evidence | None) -> Iterator[dict[str, str]]:
    titles = ("false alarms on unseen time", "false alarms allowed there", "problems found", "synthetic anomalies found")
    of_new, of_old = _texts(new), ("-",) * len(titles) if old is None else _texts(old)
    for title, champion, challenger in zip(titles, of_old, of_new, strict=True):
        yield {"title": title, "champion": champion, "challenger": challenger}


def _texts(one: Evidence) -> tuple[str, str, str, str]:
    problems = f"{one.found} of {one.problems}" if one.problems else "none there"
    return str(one.false_alarms), f"{one.allowed:.2g}", problems, f"{one.synthetic} of {one.injected}"


def _evidence(definition: AnomalyDefinition, model: AnomalyModel, data: LearningData, start: datetime) -> Evidence:
    parts = []
    for history in data.histories:
        fitted = model.detectors.get(history.asset.name)
        if fitted is not None:
            rows = rows_of(definition, fitted.plan, history, data, start, data.period.end)
            parts.append(_of_asset(definition, fitted, history, rows, to_millis(start), to_millis(data.period.end)))
    if not parts:
        return Evidence(0, 0.0, 0.0, 0, 0, 0, 0)
    return Evidence(*(sum(values) for values in zip(*parts, strict=True)))


def _of_asset(
    definition: AnomalyDefinition, fitted: FittedDetector, history: History, rows: NormalRows, start: int, end: int
) -> Evidence:
    stride, scores = fitted.plan.stride_ms, np.nan_to_num(fitted.score(rows.matrix), nan=-np.inf)
    normal = rows.normal
    clear_for = duration_millis(fitted.clear_for if definition.clear_for is None else definition.clear_for)
    alarms = _episodes(definition, rows.at[normal], scores[normal], stride, clear_for)
    weeks = int(normal.sum()) * stride / _WEEK_MS
    allowed = weeks * definition.false_alarms_per_week
    if definition.threshold.time_in_alarm is not None:
        allowed = _allowed_by_share(definition, len(alarms), scores[normal])
    problems = [(a, b) for a, b in rows.problems if start < a <= end]
    every = _episodes(definition, rows.at, scores, stride, 0)
    around = duration_millis(definition.window.until)
    found = sum(bool(((every > a - around) & (every <= b)).any()) for a, b in problems)
    hits, injected = _synthetic(definition, fitted, history, rows)
    return Evidence(len(alarms), weeks, allowed, found, len(problems), hits, injected)


def _allowed_by_share(definition: AnomalyDefinition, alarms: int, scores: Floats) -> float:
    """Return the false alarms that the allowed share of time in alarm would give, each as long as those that were counted."""
    share = float((scores >= THRESHOLD).mean()) if len(scores) else 0.0
    wanted = definition.threshold.time_in_alarm or 0.0
    return alarms * wanted / share if share > 0 else 0.0


def _episodes(definition: AnomalyDefinition, at: Millis, scores: Floats, stride_ms: int, apart_ms: int) -> Millis:
    """Return the instants at which episodes would be raised; all instants beyond the threshold where nothing sets them apart."""
    lasting = lasting_scores(at, scores, stride_ms, duration_millis(definition.hold))
    beyond = at[lasting >= THRESHOLD]
    return beyond[first_of_clusters(beyond, apart_ms)] if len(beyond) and apart_ms else beyond


def _synthetic(definition: AnomalyDefinition, fitted: FittedDetector, history: History, rows: NormalRows) -> tuple[int, int]:
    """Return how many of the synthetic anomalies in unseen normal time are found, and how many there are."""
    plan, at = fitted.plan, rows.at[rows.normal]
    length = max(plan.longest_window_ms, 5 * plan.stride_ms, duration_millis(definition.hold) + plan.stride_ms)
    starts = at[:: max(1, len(at) // _ANOMALIES)]
    starts = starts[np.concatenate([[True], np.diff(starts) >= 2 * length])] if len(starts) else starts
    found = total = 0
    for type in TYPES:
        changed, put = inject(history, [n.name for n in plan.numbers], type, starts, length, definition.seed)
        for one in put:
            of_it = at[(at > one.start) & (at <= one.end)]
            if len(of_it):
                scores = np.nan_to_num(fitted.score(build_features(plan, changed, of_it).to_numpy(np.float64)), nan=-np.inf)
                total += 1
                found += bool(len(_episodes(definition, of_it, scores, plan.stride_ms, 0)))
    return found, total
