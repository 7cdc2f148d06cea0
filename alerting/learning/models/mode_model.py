"""The model of modes: which of the named problems it is, given that the problem comes.

One binary model for each mode that can be told from chance gives the probability of that mode; any
other mode has the same probability everywhere. The share of a mode is its part of their sum.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from alerting.deferred import np
from alerting.definitions.fields.problem import Problem, describe_problem
from alerting.episodes.mode_shares import ModeShare
from alerting.learning.models.trained import Estimator, TrainedModel
from alerting.readings.history import Floats

LEAST_NAMED = 0.05  # share below which a mode counts among the others
LEAST_STATED = 0.01  # share of the others together below which they are not stated
MOST_REASONS = 2  # variables
PREFIX = "mode-"


@dataclass(frozen=True)
class ModeModel:
    """The model of modes of one trained model, whose feature plan it shares.

    All are by mode, in the order of the names: `conditions`: as text; `rates`: share of the rows
    with the mode ahead; `estimators`: of the modes that are told from chance.
    """

    conditions: Mapping[str, str]
    rates: Mapping[str, float]
    estimators: Mapping[str, Estimator]

    def shares(self, matrix: Floats) -> Floats:
        """Return the shares of the modes for each row (rows x modes)."""
        columns = [
            self.estimators[name].probability_of(matrix)
            if name in self.estimators
            else np.full(len(matrix), rate)
            for name, rate in self.rates.items()
        ]
        risk = np.column_stack(columns)
        return np.asarray(risk / risk.sum(axis=1, keepdims=True), np.float64)

    def describe(self, matrix: Floats, sources: Sequence[str] = ()) -> tuple[ModeShare, ...]:
        """Return the shares for one row, the largest first: of each mode that is told from chance,
        and of all others together. `sources`: the variable of each column, for the reasons."""
        shares = dict(zip(self.rates, self.shares(matrix)[0].tolist(), strict=True))
        named = [n for n in self.estimators if shares[n] >= LEAST_NAMED]
        others = tuple(name for name in self.rates if name not in named)
        stated = [
            ModeShare((n,), shares[n], True, self._reasons(n, matrix, sources)) for n in named
        ]
        share = sum(shares[name] for name in others)
        if share >= LEAST_STATED:
            stated.append(ModeShare(others, share, is_named=False))
        return tuple(sorted(stated, key=lambda stated: -stated.share))

    def _reasons(self, name: str, matrix: Floats, sources: Sequence[str]) -> tuple[str, ...]:
        by_source: dict[str, float] = {}
        values = self.estimators[name].contributions(matrix)[0].tolist() if sources else ()
        for source, share in zip(sources, values, strict=bool(sources)):
            by_source[source] = by_source.get(source, 0.0) + share
        ranked = sorted(by_source, key=lambda source: -by_source[source])
        return tuple(source for source in ranked if by_source[source] > 0)[:MOST_REASONS]

    def hash_with(self, hash: str, fitted: Iterable[bytes] | None = None) -> str:
        """Return the hash of a model together with this one. `fitted`: the fitted values, as they
        were read."""
        members = [
            [name, estimator.family, estimator.encoding.to_document()]
            for name, estimator in self.estimators.items()
        ]
        settings = [hash, dict(self.conditions), dict(self.rates), members]
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for part in self._fitted_bytes() if fitted is None else fitted:
            digest.update(part)
        return digest.hexdigest()

    def _fitted_bytes(self) -> Iterator[bytes]:
        for estimator in self.estimators.values():
            yield from estimator.model.fitted_bytes()

    def files(self) -> dict[str, dict[str, bytes]]:
        """Return the files of each estimator by mode; no two have the same name."""
        return {
            mode: {
                f"{PREFIX}{number}-{name}": data for name, data in estimator.model.files().items()
            }
            for number, (mode, estimator) in enumerate(self.estimators.items())
        }


def conditions_of(problems: Mapping[str, Problem]) -> dict[str, str]:
    """Return the conditions of modes as text, by name."""
    return {name: describe_problem(problems[name]) for name in sorted(problems)}


def with_modes(model: TrainedModel, modes: ModeModel | None) -> TrainedModel:
    """Return a model without modes with these, and with the hash of both."""
    if modes is None:
        return model
    return replace(model, modes=modes, hash=modes.hash_with(model.hash))
