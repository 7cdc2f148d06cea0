"""The model of a kind that learns normal operation: one fitted part for each asset, and its
evaluation over one interval."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, Generic, NamedTuple, Self, TypeVar, cast

from alerting.definitions.model import Definition, Severity
from alerting.detection.evaluation import StatusInterval
from alerting.episodes.lifecycle import advance
from alerting.kinds.protocol.evaluation import (
    EvaluationSources,
    Raise,
    RaiseEvidence,
    TargetEvaluation,
    VersionInterval,
)
from alerting.ports import ModelUnavailable
from alerting.readings.history import to_millis

FittedT = TypeVar("FittedT")


@dataclass(frozen=True)
class NormalModel(Generic[FittedT]):
    """The fitted parts by asset. `training_cutoff`: last instant of normal operation; no instant up
    to it is evaluated."""

    family: str
    revision: int
    training_cutoff: datetime
    by_asset: Mapping[str, FittedT]

    refit: ClassVar[None] = None

    def select_assets(self, names: Collection[str]) -> Self:
        """Return the model of these assets alone."""
        return replace(
            self, by_asset={name: fitted for name, fitted in self.by_asset.items() if name in names}
        )

    @property
    def header(self) -> dict[str, Any]:
        """Return all but the fitted parts as plain values."""
        return {
            "family": self.family,
            "revision": self.revision,
            "training_cutoff": self.training_cutoff.isoformat(),
        }


def read_header(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a model that its header states. Raises KeyError or ValueError for
    another document."""
    cutoff = datetime.fromisoformat(document["training_cutoff"])
    return {
        "family": document["family"],
        "revision": document["revision"],
        "training_cutoff": cutoff,
    }


class EpisodeRule(NamedTuple):
    """Time that a state must last before an episode opens and closes, and the severities of the
    definition."""

    hold: timedelta
    clear_for: timedelta
    severities: Sequence[Severity]


def evaluate_fitted(
    definition: Definition,
    sources: EvaluationSources,
    part: VersionInterval,
    before: TargetEvaluation,
    evaluate: Callable[[Any, Any, int], TargetEvaluation],
    no_model: str,
    too_little: str,
) -> TargetEvaluation:
    """Evaluate a part by the model in force there: `evaluate` takes the model, what it has fitted
    to the asset, and its version.

    Without a model nothing is known, for the reason `no_model`, or `too_little` of this asset; an
    open episode stays open. A model that cannot be read stops its own target alone: the round
    continues.
    """
    version = part.model_version
    try:
        model = (
            None
            if version is None
            else cast("NormalModel[Any]", sources.models.get(definition, version))
        )
    except ModelUnavailable as unavailable:
        return stopped(before, f"the model cannot be read: {unavailable}")
    if to_millis(part.start) >= to_millis(part.end):
        return replace(before, state=replace(before.state, watermark=part.end))
    fitted = None if model is None else model.by_asset.get(sources.asset.name)
    if version is None or fitted is None:
        state = replace(
            before.state, watermark=part.end, pending_since=None, clearing_since=None, carried=None
        )
        why = no_model if model is None else f"{too_little}; train again"
        return replace(before, state=state, unknown=why, has_model=False)
    return evaluate(model, fitted, version)


def stopped(before: TargetEvaluation, why: str) -> TargetEvaluation:
    """Return the result of a target whose evaluation ends here: nothing after it counts as
    evaluated."""
    return replace(before, unknown=why, unreadable=why)


def advance_part(
    before: TargetEvaluation,
    part: VersionInterval,
    intervals: Sequence[StatusInterval],
    rule: EpisodeRule,
    evidence_at: Callable[[datetime], RaiseEvidence],
) -> TargetEvaluation:
    """Return the state, the steps and the evidence of each raise after the intervals of a part;
    nothing else is carried."""
    state, steps = advance(before.state, intervals, rule.hold, rule.clear_for, rule.severities)
    raises = dict(before.raises)
    for step in steps:
        if step.kind == "raised":
            evidence = evidence_at(step.at)
            raises[step.at] = Raise(
                evidence.evaluation.value, model_version=part.model_version, content=evidence
            )
    after = replace(state, watermark=part.end, carried=None)
    return replace(
        before, state=after, steps=[*before.steps, *((step, part) for step in steps)], raises=raises
    )
