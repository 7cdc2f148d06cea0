"""The modes of a trained model: which of the named problems it is, given that the problem comes.

A binary model of each mode that is told from chance gives its probability; any other mode has the
same one everywhere. The share of a mode is its part of their sum.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from alerting.deferred import np
from alerting.definitions.fields.problem import Problem, describe_problem
from alerting.episodes.mode_shares import ModeShare
from alerting.learning.models.trained import Estimator, TrainedModel, hash_with
from alerting.readings.history import Floats

LEAST_NAMED = 0.05  # share below which a mode counts among the others
LEAST_STATED = 0.01  # share of the others together below which they are not stated
MOST_REASONS = 2  # variables


@dataclass(frozen=True)
class ModeModel:
    """The model of one mode. `rate`: share of the rows with the mode ahead; `estimator`: None if
    it is not told from chance."""

    name: str
    condition: str
    rate: float
    estimator: Estimator | None

    def probability_of(self, matrix: Floats) -> Floats:
        """Return the probability of the mode for each row."""
        if self.estimator is None:
            return np.full(len(matrix), self.rate)
        return self.estimator.probability_of(matrix)


def describe_row(
    modes: Sequence[ModeModel], matrix: Floats, sources: Sequence[str] = ()
) -> tuple[ModeShare, ...]:
    """Return the shares for one row, the largest first: of each mode that is told from chance, and
    of all others together. `sources`: the variable of each column, for the reasons."""
    risk = [float(mode.probability_of(matrix)[0]) for mode in modes]
    shares = {mode.name: value / sum(risk) for mode, value in zip(modes, risk, strict=True)}
    stated = [
        ModeShare((m.name,), shares.pop(m.name), True, _reasons(m.estimator, matrix, sources))
        for m in modes
        if m.estimator is not None and shares[m.name] >= LEAST_NAMED
    ]
    if sum(shares.values()) >= LEAST_STATED:
        stated.append(ModeShare(tuple(shares), sum(shares.values()), is_named=False))
    return tuple(sorted(stated, key=lambda stated: -stated.share))


def _reasons(estimator: Estimator, matrix: Floats, sources: Sequence[str]) -> tuple[str, ...]:
    by_source = Counter[str]()
    for source, share in zip(sources, estimator.contributions(matrix)[0].tolist(), strict=False):
        by_source[source] += share
    return tuple(name for name, share in by_source.most_common(MOST_REASONS) if share > 0)


def conditions_of(problems: Mapping[str, Problem]) -> dict[str, str]:
    """Return the conditions of modes as text, by name."""
    return {name: describe_problem(problem) for name, problem in problems.items()}


def with_modes(model: TrainedModel, modes: tuple[ModeModel, ...]) -> TrainedModel:
    """Return a model without modes with these, and with the hash of both."""
    if not modes:
        return model
    settings = [[m.name, m.condition, m.rate, m.estimator is None] for m in modes]
    estimators = (mode.estimator for mode in modes if mode.estimator is not None)
    return replace(model, modes=modes, hash=hash_with(model.hash, settings, estimators))
