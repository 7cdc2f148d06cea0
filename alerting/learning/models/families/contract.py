"""The contract of a model family: its parameters, its fit, and how its files are read.

One module per family, with its instance.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from alerting.definitions.alert_definition import Problem
from alerting.definitions.faults import UserError
from alerting.definitions.fields.learning import (
    BUILT_IN,
    OPTIONAL,
    PERSISTENCE,
    find_added,
    require_family,
)
from alerting.definitions.wording.language import template, translatable
from alerting.learning.features.plan import Columns
from alerting.learning.models.trained import ALL_THREADS, Estimator, FittedModel
from alerting.readings.history import Floats

if TYPE_CHECKING:
    import optuna

Labels = npt.NDArray[np.int8]
Params = dict[str, Any]
# parameter of a family: a fit takes this many columns, those that alone rank its rows best; 0: all
STRONGEST = "strongest"
_ALL_POSITIVE = template(
    "all {rows} rows to learn from are positive; use a longer history with problems in it"
)
_ALL_NEGATIVE = template(
    "all {rows} rows to learn from are negative; use a longer history with problems in it"
)


@dataclass(frozen=True)
class LabelledRows:
    """Rows of a matrix made by `Columns`, their labels, and their weights unless all count alike.

    Raises UserError if all labels are the same, because a family learns nothing from one class.
    """

    matrix: Floats
    label: Labels
    weight: Floats | None = None

    def __post_init__(self) -> None:
        positives = int(self.label.sum())
        if positives in (0, len(self.label)):
            text = _ALL_POSITIVE if positives else _ALL_NEGATIVE
            raise UserError(translatable(text, rows=len(self.label)))


class Learner(Protocol):
    """What learns from rows, and predicts by the fitted model: a family of models of a problem, or
    a forecaster.

    `packages`: the libraries that fitted models need to score, besides numpy and pandas.
    `suggest`: suggests one parameter set of a search.
    """

    @property
    def name(self) -> str: ...

    @property
    def packages(self) -> Sequence[str]: ...

    @property
    def suggest(self) -> Callable[[optuna.Trial], Params]: ...

    @property
    def fit(self) -> Callable[..., Any]:
        """Fit: `fit(params, *rows, seed)`; the same arguments give the same model."""

    def load(self, files: Mapping[str, bytes], width: int) -> FittedModel:
        """Read a fitted model for `width` columns from the files that its `files` returned.

        Reading runs no code from the files, whose hashes were compared before. Raises
        ModelRefused if a file cannot be read. The files may be read at the first use of the model.
        """


class ModelFamily(ABC):
    """A family of models.

    `defaults`: the proven parameters, which are the first trial of every search. `alternatives`:
    changes of the defaults, each best for another kind of data. `fixed`: parameters that trials do
    not vary. `of_lives`: changes of the defaults for the hazard of a life; None: not for that.
    `packages`: the libraries that fitted models need to score, besides numpy and pandas.
    """

    name: ClassVar[str]
    packages: ClassVar[Sequence[str]] = ()
    defaults: ClassVar[Params]
    alternatives: ClassVar[Sequence[Params]] = ()
    fixed: ClassVar[frozenset[str]] = frozenset()
    of_lives: ClassVar[Params | None] = None

    @abstractmethod
    def suggest(self, trial: optuna.Trial) -> Params:
        """Suggest one parameter set of a search."""

    @abstractmethod
    def fit(
        self,
        params: Mapping[str, Any],
        columns: Columns,
        rows: LabelledRows,
        seed: int,
        threads: int = ALL_THREADS,
    ) -> Estimator:
        """Fit on rows of both classes; the same arguments give the same model."""

    def fit_with_validation(
        self,
        params: Mapping[str, Any],
        columns: Columns,
        rows: LabelledRows,
        validation: LabelledRows,
        seed: int,
    ) -> tuple[Estimator, Floats]:
        """Fit, and return the average precision on `validation` after each round, if any."""
        return self.fit(params, columns, rows, seed), np.empty(0)

    def fit_final(
        self, params: Mapping[str, Any], columns: Columns, rows: LabelledRows, seed: int
    ) -> Estimator:
        """Fit the model that is registered."""
        return self.fit(params, columns, rows, seed)

    @abstractmethod
    def load(self, files: Mapping[str, bytes], width: int) -> FittedModel:
        """Read a fitted model (`Learner.load`)."""

    def params_for(self, problem: Problem) -> Params:
        """Return the parameters that the problem decides. `columns`: the columns of the plan."""
        return {}

    def proven_params(self) -> list[Params]:
        """Return the default parameters, then sets that differ much from these and from each
        other."""
        return [{**self.defaults, **change} for change in ({}, *self.alternatives)]

    def searched_params(self, params: Mapping[str, Any]) -> Params:
        """Return the parameters that trials vary."""
        return {
            key: value
            for key, value in params.items()
            if key in self.defaults and key not in self.fixed
        }


@cache
def get_family(name: str) -> ModelFamily:
    """Return a family by name: the `FAMILY` of a module, or the object that a package names.

    Raises UserError if there is none, if its package cannot be loaded, or if the package's object
    is not a family of this name.
    """
    if name in (*BUILT_IN, PERSISTENCE):
        return import_module(f"{__package__}.{name}").FAMILY  # type: ignore[no-any-return]
    try:
        entry = find_added(require_family(name))
    except ValueError as unknown:
        raise UserError(*unknown.args) from unknown
    try:
        family = entry.load() if entry else None
    except Exception as fault:  # whatever the code of a package, or of what it imports, raises
        raise UserError(
            "the package "
            f"{name if name in OPTIONAL else getattr(entry and entry.dist, 'name', name)}, which "
            f"brings the family {name!r}, cannot be loaded here "
            f"({type(fault).__name__}: {fault}); install it again with all that it needs, "
            "also libraries of the system such as libgomp1"
        ) from fault
    if not isinstance(family, ModelFamily) or family.name != name:
        raise UserError(
            f"{entry.value if entry else name} is not a ModelFamily of the name {name!r}; mend the "
            "package that adds it"
        )
    return family
