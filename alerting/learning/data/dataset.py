"""The dataset of one training: rows, labels and parts, from what was known at as_of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from alerting.definitions.durations import format_duration
from alerting.definitions.faults import UserError
from alerting.definitions.model import ClassifierDefinition
from alerting.detection.problems import matching, predicts, problem_samples
from alerting.detection.suppression import Span, covered
from alerting.learning.data.feedback_labels import (
    EFFECTS,
    LEFT_OUT,
    POSITIVE,
    WEIGHTED,
    Answer,
    Effects,
    answers_in_words,
    relabel,
)
from alerting.learning.data.fingerprint import dataset_hash
from alerting.learning.data.labels import Labels, label_instants, persistence
from alerting.learning.data.leakage import leak_suspects
from alerting.learning.data.memory_budget import THINNED, within_memory
from alerting.learning.data.point_in_time import anything_known, known_history
from alerting.learning.data.quality import Consequence, Finding, find_oddities
from alerting.learning.data.split import PARTS, PURGED, Borders, Parts, assign_parts, purge_span, require_all_parts, split_borders
from alerting.learning.features.build import build_features, grid
from alerting.learning.features.moments import Floats
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.features.planning import event_types, plan_features
from alerting.readings.history import History, Millis, millis, span_millis, to_millis

NO_READING = "no_reading"
SUPPRESSED = "suppressed"
EXCLUDED = "excluded"


@dataclass(frozen=True)
class Dataset:
    """All rows of one training, by asset and then by time.

    `definition`, `revision`: name and number. `rows`: columns as `plan.columns`; beside each row its `label` (1: the problem
    follows), `asset`, instant `at` (ms), `part` (train, validation, test, purged: of no use, or excluded: operators' answers
    put its label in doubt), `weight` (1, or less where the definition says so) and `persistence` (the problem variable's last
    known value, higher is riskier, NaN without). `label_by_data`, `part_by_data`: what they would be without any answer; only
    rows of train ever have another label. `answers`: how many there are and were used, and how many rows they left out, made
    positive or weighted, or confirmed. `problems`: asset, start, last, end, known_at of every problem known at as_of;
    `predicts`: what the label asks of them. `observed`: seconds of usable rows by part and asset. `counts`: rows dropped by
    reason. `findings`: the data quality report. `purge_ms`: what was purged before every border. `hash`: over the content of
    rows, labels and parts; the same in every process.
    """

    definition: str
    revision: int
    as_of: datetime
    plan: FeaturePlan
    rows: pd.DataFrame
    label: npt.NDArray[np.int8]
    asset: npt.NDArray[np.object_]
    at: Millis
    part: Parts
    problems: pd.DataFrame
    predicts: Literal["onset", "state"]
    persistence: Floats
    weight: Floats
    label_by_data: npt.NDArray[np.int8]
    part_by_data: Parts
    observed: dict[str, dict[str, float]]
    counts: dict[str, int]
    answers: dict[str, int]
    findings: tuple[Finding, ...]
    horizon_ms: int
    gap_ms: int
    purge_ms: int
    hash: str

    def weights(self, rows: npt.NDArray[Any]) -> Floats | None:
        """Weights of some rows (positions or a mask); None where all are 1."""
        weight = self.weight[rows]
        return None if (weight == 1.0).all() else weight

    @property
    def notes(self) -> list[str]:
        """The data quality report in sentences."""
        return [finding.words for finding in self.findings]

    @property
    def answered(self) -> str:
        """What the operators' answers changed, in a sentence; empty when nobody answered."""
        return answers_in_words(self.answers)


def build_dataset(
    definition: ClassifierDefinition,
    revision_number: int,
    histories: Sequence[History],
    as_of: datetime,
    answers: Sequence[Answer] = (),
    suppressed: Mapping[str, Sequence[Span]] = MappingProxyType({}),
    memory_mib: int | None = None,
) -> Dataset:
    """Rows on the stride grid of every asset, labelled, split and counted. `answers`: what operators had said by as_of.
    `suppressed`: spans by asset in which the definition is suppressed by design; their rows leave every part.

    Nothing that became known after as_of (or after `periods.end`) is used. Where all training rows would need more than
    `memory_mib`, they are thinned evenly before any feature is computed, and a finding says so. Raises UserError, saying what to
    do, for: a horizon shorter than the stride, no readings, an unknown problem variable or event type, a part without rows, one
    class only, too little memory.
    """
    _require_strides(definition)
    until = min(to_millis(as_of), to_millis(definition.periods.end or as_of))
    start = None if definition.periods.start is None else to_millis(definition.periods.start)
    known = sorted((known_history(h, until, start) for h in histories), key=lambda h: h.asset.name)
    borders = split_borders(definition, *_span(definition, known))
    _require_problem(definition, known)
    training = [known_history(h, borders.validation) for h in known]
    plan = plan_features(definition, training)
    question = _question(definition, known)
    said = {h.asset.name: [a for a in answers if a.asset == h.asset.name] for h in known}
    spans = {h.asset.name: suppressed.get(h.asset.name, ()) for h in known}
    pieces = [_piece(definition, question, plan, h, borders, until, said[h.asset.name], spans[h.asset.name]) for h in known]
    return _assemble(definition, revision_number, as_of, question, plan, borders, pieces, known, training, memory_mib)


@dataclass(frozen=True)
class _Piece:
    """What is known beside the features of the rows of one asset."""

    asset: str
    at: Millis
    label: npt.NDArray[np.int8]
    persistence: Floats
    effect: Effects
    answers: int
    answers_used: int
    dropped: npt.NDArray[np.object_]
    problems: pd.DataFrame


def _piece(
    definition: ClassifierDefinition,
    question: Literal["onset", "state"],
    plan: FeaturePlan,
    history: History,
    borders: Borders,
    until: int,
    answers: Sequence[Answer],
    suppressed: Sequence[Span],
) -> _Piece:
    at = grid(borders.start, borders.end, plan.stride_ms)
    labels: Labels = label_instants(definition, question, history, at, until)
    dropped = labels.dropped
    dropped[(dropped == "") & ~anything_known(plan, history, at)] = NO_READING
    dropped[(dropped == "") & covered(suppressed, at)] = SUPPRESSED
    kept = dropped == ""
    ts, bad = problem_samples(definition.problem, history)
    occurred = millis(labels.problems["start"]) if question == "onset" else ts[bad]
    changed = relabel(definition, answers, at[kept], labels.label[kept] == 0, occurred)
    return _Piece(
        asset=history.asset.name,
        at=at[kept],
        label=labels.label[kept],
        persistence=persistence(definition.problem, history, at[kept]),
        effect=changed.effect,
        answers=len(answers),
        answers_used=changed.used,
        dropped=dropped[~kept],
        problems=labels.problems.assign(asset=history.asset.name)[["asset", "start", "last", "end", "known_at"]],
    )


def _assemble(
    definition: ClassifierDefinition,
    revision: int,
    as_of: datetime,
    question: Literal["onset", "state"],
    plan: FeaturePlan,
    borders: Borders,
    pieces: Sequence[_Piece],
    known: Sequence[History],
    training: Sequence[History],
    memory_mib: int | None,
) -> Dataset:
    """The dataset; `pieces`, and `known` (what was known at as_of), are by asset in the same order."""
    purge = purge_span(definition, plan)
    at = np.concatenate([p.at for p in pieces])
    by_data = np.concatenate([p.label for p in pieces])
    asset = np.repeat(np.array([p.asset for p in pieces], dtype=object), [len(p.at) for p in pieces])
    natural = assign_parts(at, borders, purge)
    effect = _believed(np.concatenate([p.effect for p in pieces]), natural)
    label, part, weight = _answered(definition, by_data, natural, effect)
    require_all_parts(definition, part, borders, purge)
    problems = pd.concat([p.problems for p in pieces], ignore_index=True)
    oddities = find_oddities(definition, plan, training, _problems_by_part(problems, borders))
    _require_both_classes(definition, label[part == "train"], len(problems), oddities)
    risk = np.concatenate([p.persistence for p in pieces])
    values = sum(h.readings.size for h in known)
    kept, thinned = within_memory(definition, plan, values, at, part, label, memory_mib)
    if thinned is not None:
        label, asset, at, part, risk = label[kept], asset[kept], at[kept], part[kept], risk[kept]
        weight, by_data, natural, effect = weight[kept], by_data[kept], natural[kept], effect[kept]
    rows = _features(plan, known, asset, at)
    reasons, counts = np.unique(np.concatenate([p.dropped for p in pieces]).astype(str), return_counts=True)
    answers = {"answers": sum(p.answers for p in pieces), "used": sum(p.answers_used for p in pieces), **_effects(effect)}
    dropped = dict(zip(reasons.tolist(), counts.tolist(), strict=True))
    findings = [
        *oddities,
        *([thinned] if thinned is not None else []),
        *leak_suspects(definition, plan, training, rows[part == "train"], label[part == "train"]),
        *_answer_finding(answers),
    ]
    return Dataset(
        definition=definition.name,
        revision=revision,
        as_of=as_of,
        plan=plan,
        rows=rows,
        label=label,
        asset=asset,
        at=at,
        part=part,
        problems=problems,
        predicts=question,
        persistence=risk,
        weight=weight,
        label_by_data=by_data,
        part_by_data=natural,
        observed=_observed(part, asset, plan.stride_ms / 1000),
        counts=dropped if thinned is None else dropped | {THINNED: int((~kept).sum())},
        answers=answers,
        findings=tuple(findings),
        horizon_ms=span_millis(definition.horizon),
        gap_ms=span_millis(definition.gap),
        purge_ms=purge,
        hash=dataset_hash(plan, rows, label, asset, at, part, risk, weight, by_data, natural),
    )


def _features(plan: FeaturePlan, known: Sequence[History], asset: npt.NDArray[np.object_], at: Millis) -> pd.DataFrame:
    """The features of all rows, asset by asset."""
    parts = [build_features(plan, history, at[asset == history.asset.name]) for history in known]
    return parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)


def _believed(effect: Effects, part: Parts) -> Effects:
    """Only training takes an operator's word for a problem that the data do not show: the figures of validation and test rest
    on data alone, so such rows are left out there. Purged rows are of no use anyway."""
    positive = (effect == POSITIVE) | (effect == WEIGHTED)
    return np.where(part == PURGED, 0, np.where(positive & (part != "train"), LEFT_OUT, effect)).astype(np.int8)


def _answered(
    definition: ClassifierDefinition, label: npt.NDArray[np.int8], part: Parts, effect: Effects
) -> tuple[npt.NDArray[np.int8], Parts, Floats]:
    """Labels, parts and weights after the answers."""
    return (
        np.where((effect == POSITIVE) | (effect == WEIGHTED), 1, label).astype(np.int8),
        np.where(effect == LEFT_OUT, EXCLUDED, part).astype(object),
        np.where(effect == WEIGHTED, definition.feedback.weight, 1.0),
    )


def _effects(effect: Effects) -> dict[str, int]:
    return {name: int((effect == number).sum()) for number, name in enumerate(EFFECTS, start=1)}


def _answer_finding(answers: dict[str, int]) -> list[Finding]:
    words = answers_in_words(answers)
    consequence: Consequence = "left out" if answers["left_out"] else "kept"
    return [Finding("answers", None, answers["used"], consequence, words)] if words else []


def _observed(part: Parts, asset: npt.NDArray[np.object_], stride_s: float) -> dict[str, dict[str, float]]:
    observed: dict[str, dict[str, float]] = {}
    for name in PARTS:
        assets, rows = np.unique(asset[part == name].astype(str), return_counts=True)
        observed[name] = dict(zip(assets.tolist(), (rows * stride_s).tolist(), strict=True))
    return observed


def _problems_by_part(problems: pd.DataFrame, borders: Borders) -> dict[str, int]:
    start = millis(problems["start"])
    edges = [borders.start, borders.validation, borders.test, borders.end]
    counts = np.diff(np.searchsorted(np.sort(start), edges, side="right"))
    return dict(zip(PARTS, counts.tolist(), strict=True))


def _require_strides(definition: ClassifierDefinition) -> None:
    if definition.horizon < definition.stride:
        raise UserError(
            f"{definition.name}: the horizon {format_duration(definition.horizon)} is shorter than the stride "
            f"{format_duration(definition.stride)}: problems between two judged instants would never be predicted; "
            "lengthen horizon or shorten features.stride"
        )


def _span(definition: ClassifierDefinition, histories: Sequence[History]) -> tuple[int, int]:
    """From the first to the last reading of any asset."""
    spans = [millis(pd.DatetimeIndex(h.readings.index[[0, -1]])) for h in histories if len(h.readings)]
    if not spans:
        names = ", ".join(h.asset.name for h in histories) or f"assets that match {', '.join(definition.assets)}"
        raise UserError(
            f"{definition.name}: no readings of {names} in the period it may learn from; import readings, "
            "or check assets, periods and as_of"
        )
    return int(min(s[0] for s in spans)) - 1, int(max(s[1] for s in spans))


def _require_problem(definition: ClassifierDefinition, histories: Sequence[History]) -> None:
    problem = definition.problem
    if problem.event is not None:
        types = event_types(histories)
        if not matching(types, [problem.event]):
            raise UserError(
                f"{definition.name}: no event type matches the problem's event {problem.event!r}"
                f"{_nearest(problem.event, types)}; import events of that type or correct problem.event"
            )
        return
    name = problem.variable or ""
    known = {str(v) for h in histories for v in (*h.asset.variables, *h.readings.columns)}
    if name not in known:
        raise UserError(
            f"{definition.name}: no asset has the problem's variable {name!r}{_nearest(name, known)}; correct problem.variable"
        )
    if not any(name in h.readings and h.readings[name].notna().any() for h in histories):
        raise UserError(
            f"{definition.name}: the problem's variable {name} has no value at all in the period it may learn from; "
            "import its values, or name another variable"
        )


def _nearest(name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), n=3, cutoff=0.5) or sorted(known)[:10]
    return f" (there is: {', '.join(near)})" if near else " (there are none yet)"


def _question(definition: ClassifierDefinition, histories: Sequence[History]) -> Literal["onset", "state"]:
    """One question for one model: state if it is so on any asset."""
    return "state" if any(predicts(definition.problem, h.asset) == "state" for h in histories) else "onset"


def _require_both_classes(
    definition: ClassifierDefinition, label: npt.NDArray[np.int8], problems: int, oddities: Sequence[Finding]
) -> None:
    positive = int(label.sum())
    if 0 < positive < len(label):
        return
    which = "no row is followed by the problem" if positive == 0 else "every row is followed by the problem"
    raise UserError(
        f"{definition.name}: in the training period {which} ({len(label)} rows, {problems} problems in all periods together), "
        "so there is nothing to tell apart; check the problem's limit or event, or use a history with both"
        f"{_odd([f for f in oddities if f.kind != 'few_problems'])}"
    )


def _odd(findings: Sequence[Finding]) -> str:
    """The first oddities of the data, as the end of a refusal."""
    return ". What is odd about the data: " + " ".join(f.words for f in findings[:3]) if findings else ""
