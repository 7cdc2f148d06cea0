"""The contract of a model family: its parameters, its fit, and the read of its fitted model from files."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import optuna

from alerting.definitions.model import Family
from alerting.learning.features.encoding import Columns, Floats
from alerting.learning.models.estimator import ALL_THREADS, Estimator, FittedModel
from alerting.learning.models.metadata import EstimatorMeta

Labels = npt.NDArray[np.int8]
Params = dict[str, Any]


class LabelledRows(NamedTuple):
    """Rows of a matrix made by `Columns`, their labels, and their weights unless all count alike."""

    matrix: Floats
    label: Labels
    weight: Floats | None = None


class ModelFamily(ABC):
    """A family of models.

    `defaults`: the proven parameters, the first trial of every search. `alternatives`: changes of the defaults, each best for
    another kind of data. `fixed`: parameters that trials do not vary.
    """

    name: ClassVar[Family]
    defaults: ClassVar[Params]
    alternatives: ClassVar[Sequence[Params]]
    fixed: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def suggest(self, trial: optuna.Trial) -> Params:
        """Suggest one parameter set of a search."""

    @abstractmethod
    def fit(
        self, params: Mapping[str, Any], columns: Columns, rows: LabelledRows, seed: int, threads: int = ALL_THREADS
    ) -> Estimator:
        """Fit on rows of both classes. The same arguments give the same model on any number of threads."""

    def fit_with_validation(
        self, params: Mapping[str, Any], columns: Columns, rows: LabelledRows, validation: LabelledRows, seed: int
    ) -> tuple[Estimator, Floats]:
        """Fit, and return the average precision on `validation` after each round; empty for a family without rounds."""
        del validation
        return self.fit(params, columns, rows, seed), np.empty(0)

    def fit_final(self, params: Mapping[str, Any], columns: Columns, rows: LabelledRows, seed: int) -> Estimator:
        """Fit the model that is registered."""
        return self.fit(params, columns, rows, seed)

    @abstractmethod
    def load(self, files: Mapping[str, bytes], prefix: str, meta: EstimatorMeta, width: int) -> FittedModel:
        """Read a fitted model for `width` encoded columns from files whose names begin with `prefix`.

        Raises ModelRefused if a file is missing or damaged, or if the family's library must not read it.
        """
