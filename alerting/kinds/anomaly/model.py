"""The model of kind `anomaly`: the fitted detector of each asset, stored as a file of plain numbers
and a file that describes them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np

from alerting.kinds.anomaly.detectors import (
    Autoencoder,
    BesideSpreads,
    Detector,
    arrays_of,
    detector_of,
)
from alerting.kinds.anomaly.normal_rows import NormalSpace, group_rows, known_variables
from alerting.kinds.normal_operation import NormalModel, read_header
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.models.trained import ModelRefused
from alerting.ports import Files
from alerting.readings.history import BoolArray, Floats, Millis, duration_millis
from alerting.readings.variable_series import CategoryValues, Labels, WindowCategories

FILE = "anomaly.json"
NUMBERS = "anomaly.npy"
FORMAT = 1
_CLEAR_STRIDES = 3
_MEASURED = "usual", "limit", "weeks", "false_alarms"


@dataclass(frozen=True)
class FittedDetector:
    """The detector of one asset. `usual`, `limit`: raw scores that people see as 0 and as 1, the
    threshold.

    `weeks`: normal time on which the threshold rests; `false_alarms`: expected ones a week;
    `account`: sentences for people. `steady`: variables that nearly always had a value in normal
    operation; if one of them has no value, the state is unknown. `by`: the detector of rows of
    known categories; this detector is then for all other rows.
    """

    plan: FeaturePlan
    space: NormalSpace
    detector: Detector
    usual: float
    limit: float
    weeks: float
    false_alarms: float
    account: tuple[str, ...] = field(compare=False)
    steady: tuple[str, ...] = ()
    by: ByCategory | None = None

    @property
    def stride(self) -> timedelta:
        """Return the time between two scores."""
        return timedelta(milliseconds=self.plan.stride_ms)

    @property
    def clear_for(self) -> timedelta:
        """Return the default off-delay."""
        return timedelta(milliseconds=usual_clear_for(self.plan))

    @cached_property
    def columns_by_variable(self) -> dict[str, list[int]]:
        """Return the positions of the columns of each variable."""
        positions: dict[str, list[int]] = {}
        for position, column in enumerate(self.plan.layout):
            positions.setdefault(column.source, []).append(position)
        return positions

    @property
    def variables(self) -> tuple[str, ...]:
        """Return the variables whose readings are needed."""
        return tuple(dict.fromkeys([*self.plan.variables, *((self.by.name,) if self.by else ())]))

    def abnormality(self, raw: Floats) -> Floats:
        """Return raw scores on the scale that people see: 0 is usual, 1 the threshold."""
        return (raw - self.usual) / (self.limit - self.usual)

    def for_category(self, category: str | None) -> FittedDetector:
        """Return the detector for rows of a category; for a category without a level of its own the
        detector of all rows together."""
        space = None if self.by is None or category is None else self.by.spaces.get(category)
        return self if self.by is None or space is None else replace(self.by.detector, space=space)

    def windows(self, categories: CategoryValues | None, at: Millis) -> WindowCategories:
        """Return, for the windows of rows at these instants, their known category (None for any
        other) and whether it changed within."""
        return windows_of(
            categories if self.by else None, at, self.plan, self.by.spaces if self.by else None
        )

    def score(self, matrix: Floats, categories: Labels | None = None) -> Floats:
        """Return how unlike normal each row is; NaN if too few variables have a value, or a steady
        variable has none.

        `categories`: of the rows; each row is scored by the detector of its category.
        """
        scores = np.full(len(matrix), np.nan)
        if categories is not None and self.by is not None:
            for category, rows in group_rows(categories).items():
                scores[rows] = self.for_category(category)._score(matrix[rows])
            return scores
        return self._score(matrix)

    def _score(self, matrix: Floats) -> Floats:
        scores = np.full(len(matrix), np.nan)
        is_known = self.is_known(matrix)
        if is_known.any():
            scores[is_known] = self.abnormality(
                self.detector.score(self.space.encode(matrix[is_known]))
            )
        return scores

    def is_known(self, matrix: Floats) -> Any:
        """Return which rows have values of at least half of the variables and of all steady
        variables."""
        groups = self.columns_by_variable
        enough = known_variables(matrix, groups.values()) * 2 >= len(groups)
        return enough & (
            known_variables(matrix, [groups[name] for name in self.steady]) == len(self.steady)
        )

    def expect(self, rows: Floats, columns: Sequence[int]) -> Floats:
        """Return encoded rows in which some columns have the values that the other columns lead to
        expect: by the detector itself if it knows, else by the normal space."""
        repaired = self.space.expect(rows, columns)
        if isinstance(self.detector, Autoencoder | BesideSpreads):
            return self.detector.expect(repaired, columns)
        return repaired

    def silent(self, row: Floats) -> list[str]:
        """Return the steady variables without a value in any window of a row."""
        return [name for name in self.steady if np.isnan(row[self.columns_by_variable[name]]).all()]


@dataclass(frozen=True)
class ByCategory:
    """The known values of the category `name`. `spaces`: by value, the space in which the common
    `detector` scores its rows; `rows`: by value, the number of its rows."""

    name: str
    detector: FittedDetector
    spaces: Mapping[str, NormalSpace]
    rows: Mapping[str, int]


def windows_of(
    categories: CategoryValues | None,
    at: Millis,
    plan: FeaturePlan,
    among: Collection[str] | None = None,
) -> WindowCategories:
    """Return, for the windows of rows at these instants, their category and whether it changed
    within; None and False without categories."""
    if categories is None:
        return WindowCategories(np.full(len(at), None, object), np.zeros(len(at), np.bool_))
    return categories.over_windows(at, duration_millis(plan.lookback), among)


def usual_clear_for(plan: FeaturePlan) -> int:
    """Return the default off-delay (ms): the length of the shortest window, after which an anomaly
    has left that window; at least three strides."""
    return max(_CLEAR_STRIDES * plan.stride_ms, plan.windows_ms[0])


def spread_columns(plan: FeaturePlan) -> BoolArray:
    """Return a mask of the columns of a plan that are spreads."""
    return np.array([column.aggregation == "std" for column in plan.layout], np.bool_)


@dataclass(frozen=True)
class AnomalyModel(NormalModel[FittedDetector]):
    """The detectors by asset."""

    @cached_property
    def hash(self) -> str:
        """Return the hash of all numbers that decide a score."""
        digest = hashlib.sha256(f"{self.training_cutoff.isoformat()}{self.spacing_text}".encode())
        for asset, fitted in sorted(self.by_asset.items()):
            digest.update(json.dumps([asset, _settings(fitted)], sort_keys=True).encode())
            for name, values in sorted(_arrays(fitted).items()):
                digest.update(
                    f"{name}{values.shape}".encode() + np.ascontiguousarray(values).tobytes()
                )
        return digest.hexdigest()


def _settings(fitted: FittedDetector) -> dict[str, Any]:
    by = fitted.by
    return {
        "plan": fitted.plan.to_document(),
        **_measured(fitted),
        **({"steady": list(fitted.steady)} if fitted.steady else {}),
        **(
            {}
            if by is None
            else {"by": {"name": by.name, "rows": dict(by.rows), **_measured(by.detector)}}
        ),
    }


def _measured(fitted: FittedDetector) -> dict[str, Any]:
    return {"family": fitted.detector.family, **{name: getattr(fitted, name) for name in _MEASURED}}


def _arrays(fitted: FittedDetector) -> dict[str, Floats]:
    detector = {f"detector.{name}": values for name, values in arrays_of(fitted.detector).items()}
    arrays = {f"space.{name}": values for name, values in fitted.space.arrays().items()} | detector
    if fitted.by is not None:
        spaces = [space for _, space in sorted(fitted.by.spaces.items())]
        arrays |= {f"by.{name}": values for name, values in _arrays(fitted.by.detector).items()}
        arrays |= {
            "by.centre": np.array([space.centre for space in spaces]),
            "by.scale": np.array([space.scale for space in spaces]),
        }
    return arrays


def to_files(model: AnomalyModel) -> Files:
    """Return the files of a model: all numbers in one array, and the position in it of each array
    of each asset."""
    parts = list[Floats]()
    detectors = dict[str, Any]()
    begin = 0
    for asset, fitted in sorted(model.by_asset.items()):
        layout = {}
        for name, values in _arrays(fitted).items():
            layout[name] = [begin, *values.shape]
            parts.append(np.ascontiguousarray(values).ravel())
            begin += values.size
        detectors[asset] = {**_settings(fitted), "account": list(fitted.account), "arrays": layout}
    document = {**model.header, "format": FORMAT, "hash": model.hash, "detectors": detectors}
    numbers = io.BytesIO()
    np.save(numbers, np.concatenate([np.empty(0), *parts]), allow_pickle=False)
    return {
        FILE: json.dumps(document, sort_keys=True, indent=1).encode(),
        NUMBERS: numbers.getvalue(),
    }


def from_files(files: Files) -> AnomalyModel:
    """Return the model in these files. Raises ModelRefused if they are damaged, or do not belong
    together."""
    try:
        document: dict[str, Any] = json.loads(files[FILE])
        numbers = np.load(io.BytesIO(files[NUMBERS]), allow_pickle=False)
        if document["format"] != FORMAT or numbers.dtype != np.float64 or numbers.ndim != 1:
            raise ValueError("it is of another format")
        detectors = {
            asset: _fitted(detector, numbers) for asset, detector in document["detectors"].items()
        }
        model = AnomalyModel(**read_header(document), by_asset=detectors)
    except (ValueError, KeyError, TypeError, IndexError) as fault:
        raise ModelRefused(f"{FILE} is damaged and was not loaded: {fault}") from fault
    if model.hash != document["hash"]:
        raise ModelRefused(f"{FILE} and {NUMBERS} do not belong together, or were changed")
    return model


def _fitted(document: Mapping[str, Any], numbers: Floats) -> FittedDetector:
    """Return the fitted detector of one asset from its part of the files."""
    arrays = {name: _array(numbers, *place) for name, place in document["arrays"].items()}
    fitted = _detector(document, document, arrays, tuple(document["account"]))
    if "by" not in document:
        return fitted
    by = document["by"]
    of_category = {
        name.removeprefix("by."): values
        for name, values in arrays.items()
        if name.startswith("by.")
    }
    detector = _detector(document, by, of_category, ())
    levels = zip(sorted(by["rows"]), of_category["centre"], of_category["scale"], strict=True)
    spaces = {
        name: replace(detector.space, centre=centre, scale=scale) for name, centre, scale in levels
    }
    return replace(
        fitted,
        by=ByCategory(
            by["name"], detector, spaces, {name: int(rows) for name, rows in by["rows"].items()}
        ),
    )


def _detector(
    document: Mapping[str, Any],
    settings: Mapping[str, Any],
    arrays: Mapping[str, Floats],
    account: tuple[str, ...],
) -> FittedDetector:
    """Return the detector that these settings and arrays describe. Raises KeyError, TypeError or
    ValueError if they do not fit together."""
    by_prefix = {
        prefix: {
            name.removeprefix(f"{prefix}."): values
            for name, values in arrays.items()
            if name.startswith(f"{prefix}.")
        }
        for prefix in ("space", "detector")
    }
    plan = FeaturePlan.from_document(document["plan"])
    detector = detector_of(settings["family"], by_prefix["detector"], len(plan.layout))
    space = NormalSpace.from_arrays(by_prefix["space"])
    if space.floors is not None and space.floors.shape != space.centre.shape:
        raise ValueError("the floors of spreads are not those of the columns")
    if not 0 < settings["limit"] - settings["usual"] < np.inf:
        raise ValueError("the limit of its score is not above the usual one")
    return FittedDetector(
        plan,
        space,
        detector,
        usual=float(settings["usual"]),
        limit=float(settings["limit"]),
        weeks=float(settings["weeks"]),
        false_alarms=float(settings["false_alarms"]),
        account=account,
        steady=tuple(document.get("steady", ())),
    )


def _array(numbers: Floats, begin: int, *shape: int) -> Floats:
    size = int(np.prod(shape))
    if begin < 0 or min(shape) < 0 or begin + size > len(numbers):
        raise ValueError("an array lies outside of its file")
    return np.ascontiguousarray(numbers[begin : begin + size]).reshape(shape)
