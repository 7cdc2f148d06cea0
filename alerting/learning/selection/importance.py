"""Importance of the variables for a model: its SHAP values on a sample of the validation rows, by
raw variable."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alerting.learning.data.dataset import Dataset
from alerting.learning.features.encoding import Columns
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.models.trained import TrainedModel

Floats = npt.NDArray[np.float64]
MOST_ROWS = 200
_LEVELS = ("last", "mean", "value")


@dataclass(frozen=True)
class SampledShares:
    """Contributions of a model to the scores of some rows. `shares`, `values`: one row per sampled
    row, one column per variable.

    `shares` are in probability; those of a row add up to its score less the usual score. `values`:
    the variable's level, NaN where it is missing or text.
    """

    variables: tuple[str, ...]
    shares: Floats
    values: Floats

    @property
    def importance(self) -> dict[str, float]:
        """Return the mean size of the share of each variable, the largest first."""
        mean = np.abs(self.shares).mean(axis=0)
        return {
            self.variables[i]: float(mean[i]) for i in np.argsort(-mean, kind="stable").tolist()
        }


def sample_shares(
    model: TrainedModel, dataset: Dataset, most: int = MOST_ROWS
) -> SampledShares | None:
    """Return the contributions of evenly spaced measured rows of the validation part, at most
    `most`; None without such rows.

    They are exact for every family: those of `TrainedModel.estimator`, scaled to probability as
    those of a raise.
    """
    rows = np.flatnonzero(dataset.measured_in("validation"))
    if not len(rows):
        return None
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64))]
    matrix = Columns.from_plan(dataset.plan).matrix(dataset.rows.iloc[rows])
    sources = [dataset.plan.source_of(column) for column in dataset.plan.columns]
    variables = tuple(dict.fromkeys(sources))
    of_variable = np.array(
        [[source == name for name in variables] for source in sources], np.float64
    )
    shares = np.vstack([_scaled(model, matrix[i : i + 1]) for i in range(len(rows))]) @ of_variable
    levels = _levels(dataset.plan, sources, variables)
    values = np.column_stack(
        [np.full(len(rows), np.nan) if i is None else matrix[:, i] for i in levels]
    )
    return SampledShares(variables, shares, values)


def _scaled(model: TrainedModel, row: Floats) -> Floats:
    """Return the contributions of each column to one score, in probability."""
    shares, base = model.estimator.contributions(row)
    return shares * model.calibration.slope_between(base, base + float(shares.sum()))


def _levels(plan: FeaturePlan, sources: list[str], variables: tuple[str, ...]) -> list[int | None]:
    """Return the column that shows the level of each variable; None for text."""
    found: Mapping[str, dict[str, int]] = {name: {} for name in variables}
    for i, (source, column) in enumerate(zip(sources, plan.layout, strict=True)):
        if plan.columns[i] not in plan.levels:
            found[source].setdefault(column.aggregation, i)
    return [next((own[a] for a in (*_LEVELS, *own) if a in own), None) for own in found.values()]
