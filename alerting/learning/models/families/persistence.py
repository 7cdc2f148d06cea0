"""Persistence: the last known value of the problem's variable is the risk."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError

from alerting.definitions.alert_definition import Problem
from alerting.definitions.fields.learning import PERSISTENCE
from alerting.detection.problem_occurrences import risk_of
from alerting.learning.features.plan import Columns, Encoding, Stored, median_of
from alerting.learning.models.families.contract import LabelledRows, ModelFamily, Params
from alerting.learning.models.trained import ALL_THREADS, Estimator, ModelRefused, fit_platt
from alerting.readings.history import Floats

if TYPE_CHECKING:
    import optuna

FILE = "persistence.json"


@dataclass(frozen=True)
class LastValue(Stored):
    """A fitted persistence model: log-odds that rise with the risk of one column's value.

    `column`: position of that column among `width` columns. `above`, `below`, `equals`: the limits
    or the value of the problem. `missing`: the risk of a missing value, the median of the training
    rows. `expected`: the mean margin of the training rows.
    """

    column: Annotated[int, Field(ge=0)]
    width: int
    above: float | None
    below: float | None
    missing: float
    slope: Annotated[float, Field(gt=0)]
    intercept: float
    equals: float | None = None
    expected: float = 0.0
    margin_is_probability: ClassVar[bool] = False

    def margin(self, encoded: Floats, rounds: int | None = None) -> Floats:
        """Return the log-odds of each row."""
        risk = risk_of(encoded[:, self.column], self.above, self.below, self.equals)
        return np.asarray(
            self.slope * np.where(np.isnan(risk), self.missing, risk) + self.intercept, np.float64
        )

    def contributions(self, encoded: Floats) -> tuple[Floats, float]:
        """Return the difference from the expected margin at the one column that counts."""
        return np.asarray(
            self.importance() * (self.margin(encoded)[0] - self.expected)
        ), self.expected

    def importance(self) -> Floats:
        """Return 1 for the one column that counts, 0 for the others."""
        return np.asarray(np.arange(self.width) == self.column, np.float64)

    def fitted_bytes(self) -> Iterable[bytes]:
        """Return all fitted values as bytes."""
        return self.files().values()

    def files(self) -> dict[str, bytes]:
        """Return one JSON file."""
        return {FILE: json.dumps(asdict(self), separators=(",", ":")).encode()}


_LAST_VALUE = TypeAdapter(LastValue)


class Persistence(ModelFamily):
    """The last known value of the problem's variable. `column`: its name; the first one if None."""

    name = PERSISTENCE
    defaults = {"column": None, "above": None, "below": None, "equals": None}  # noqa: RUF012
    fixed = frozenset(defaults)

    def suggest(self, trial: "optuna.Trial") -> Params:
        """Return the defaults: there is nothing to search."""
        return dict(self.defaults)

    def params_for(self, problem: Problem) -> Params:
        """Return the column of the problem's variable, and its limits or value."""
        equals = None if problem.equals is None else float(problem.equals)
        limits = {"above": problem.above, "below": problem.below, "equals": equals}
        return {"column": f"{problem.variable}.last", **limits}

    def fit(
        self,
        params: Mapping[str, Any],
        columns: Columns,
        rows: LabelledRows,
        seed: int,
        threads: int = ALL_THREADS,
    ) -> Estimator:
        """Fit the log-odds of the risk; they never fall where it rises."""
        column = 0 if params["column"] is None else columns.names.index(params["column"])
        limits = {name: params[name] for name in ("above", "below", "equals")}
        risk = risk_of(rows.matrix[:, column], **limits)
        missing = median_of(risk)
        fitted = fit_platt(np.where(np.isnan(risk), missing, risk), rows.label, rows.weight)
        width = len(columns.names)
        model = LastValue(
            column, width, missing=missing, slope=fitted.slope, intercept=fitted.intercept, **limits
        )
        expected = float(model.margin(rows.matrix).mean())
        return Estimator(self.name, replace(model, expected=expected), columns, Encoding())

    def load(self, files: Mapping[str, bytes], width: int) -> LastValue:
        """Read the fitted values, and check that they are for a row of this width. Raises
        ModelRefused if they are not."""
        try:
            read = _LAST_VALUE.validate_json(files[FILE])
        except (KeyError, ValidationError) as fault:
            raise ModelRefused(
                f"model files without a readable {FILE}; train the model again"
            ) from fault
        if not read.column < read.width == width:
            raise ModelRefused(f"{FILE} holds a model that is not for {width} columns")
        return read


FAMILY = Persistence()
