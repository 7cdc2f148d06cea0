"""The model of kind `anomaly`: the fitted detector of each asset, as a file of plain numbers and one that describes them."""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any

import numpy as np

from alerting.detection.anomalies.detectors import Detector, IsolationTrees, arrays_of, detector_of
from alerting.detection.anomalies.normal_space import Floats, NormalSpace
from alerting.kinds.normal_model import NormalModel, read_header
from alerting.learning.features.plan import FeaturePlan
from alerting.learning.models.skops_archive import check_array
from alerting.learning.models.trained import ModelRefused
from alerting.ports import Files

FILE, NUMBERS = "anomaly.json", "anomaly.npy"
FORMAT = 1
_CLEAR_STRIDES = 3


@dataclass(frozen=True)
class FittedDetector:
    """The detector of one asset. `usual`, `limit`: raw scores that are shown as 0 and 1, the threshold.

    `weeks`: normal time behind the threshold; `false_alarms`: a week, that it should give; `account`: sentences for people.
    `steady`: variables that nearly always had a value in normal operation; without one of them the state is unknown.
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

    @property
    def stride(self) -> timedelta:
        """Return the time between two scores."""
        return timedelta(milliseconds=self.plan.stride_ms)

    @property
    def clear_for(self) -> timedelta:
        """Return the off-delay by default."""
        return timedelta(milliseconds=usual_clear_for(self.plan))

    @cached_property
    def columns_by_variable(self) -> dict[str, list[int]]:
        """Return the positions of the columns of each variable."""
        found: dict[str, list[int]] = {}
        for position, column in enumerate(self.plan.layout):
            found.setdefault(column.source, []).append(position)
        return found

    def abnormality(self, raw: Floats) -> Floats:
        """Return raw scores on the scale of people: 0 is usual, 1 the threshold."""
        return (raw - self.usual) / (self.limit - self.usual)

    def score(self, matrix: Floats) -> Floats:
        """Return how unlike normal each row is; NaN where too few variables have a value, or a steady one has none."""
        known = self.is_known(matrix)
        scores = np.full(len(matrix), np.nan)
        if known.any():
            scores[known] = self.abnormality(self.detector.score(self.space.encode(matrix[known])))
        return scores

    def is_known(self, matrix: Floats) -> Any:
        """Return which rows have values of at least half of the variables, and of all steady ones."""
        groups = self.columns_by_variable
        enough = known_variables(matrix, groups.values()) * 2 >= len(groups)
        return enough & (known_variables(matrix, [groups[name] for name in self.steady]) == len(self.steady))

    def silent(self, row: Floats) -> list[str]:
        """Return the steady variables without a value in any window of a row."""
        return [name for name in self.steady if np.isnan(row[self.columns_by_variable[name]]).all()]


def usual_clear_for(plan: FeaturePlan) -> int:
    """Return the off-delay (ms) by default: the shortest window, after which an anomaly has left it, at least three strides."""
    return max(_CLEAR_STRIDES * plan.stride_ms, plan.windows_ms[0])


def known_variables(matrix: Floats, groups: Iterable[list[int]]) -> Any:
    """Return how many groups of columns have a value in each row."""
    counts = np.zeros(len(matrix), np.int64)
    for columns in groups:
        counts += ~np.isnan(matrix[:, columns]).all(axis=1)
    return counts


@dataclass(frozen=True)
class AnomalyModel(NormalModel[FittedDetector]):
    """The detectors by asset."""

    @cached_property
    def hash(self) -> str:
        """Return the hash of all numbers that decide a score."""
        digest = hashlib.sha256(self.training_cutoff.isoformat().encode())
        for asset, fitted in sorted(self.by_asset.items()):
            digest.update(json.dumps([asset, _settings(fitted)], sort_keys=True).encode())
            for name, values in sorted(_arrays(fitted).items()):
                digest.update(f"{name}{values.shape}".encode() + np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def _settings(fitted: FittedDetector) -> dict[str, Any]:
    return {
        "plan": fitted.plan.to_document(),
        "family": fitted.detector.family,
        **{name: getattr(fitted, name) for name in ("usual", "limit", "weeks", "false_alarms")},
        **({"steady": list(fitted.steady)} if fitted.steady else {}),
    }


def _arrays(fitted: FittedDetector) -> dict[str, Floats]:
    detector = {f"detector.{name}": values for name, values in arrays_of(fitted.detector).items()}
    return {f"space.{name}": values for name, values in fitted.space.arrays().items()} | detector


def to_files(model: AnomalyModel) -> Files:
    """Return the files of a model: all numbers in one array, and where each array of each asset lies in it."""
    parts, detectors, begin = list[Floats](), dict[str, Any](), 0
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
    return {FILE: json.dumps(document, sort_keys=True, indent=1).encode(), NUMBERS: numbers.getvalue()}


def from_files(files: Files) -> AnomalyModel:
    """Return the model of its files. Raises ModelRefused if they are damaged, or not those that were written."""
    try:
        document: dict[str, Any] = json.loads(files[FILE])
        check_array(files[NUMBERS])
        numbers = np.load(io.BytesIO(files[NUMBERS]), allow_pickle=False)
        if document["format"] != FORMAT or numbers.dtype != np.float64 or numbers.ndim != 1:
            raise ValueError("it is of another format")
        detectors = {asset: _fitted(one, numbers) for asset, one in document["detectors"].items()}
        model = AnomalyModel(**read_header(document), by_asset=detectors)
    except (ValueError, KeyError, TypeError, IndexError) as fault:
        raise ModelRefused(f"{FILE} is damaged and was not loaded: {fault}") from fault
    if model.hash != document["hash"]:
        raise ModelRefused(f"{FILE} and {NUMBERS} do not belong together, or were changed")
    return model


def _fitted(document: Mapping[str, Any], numbers: Floats) -> FittedDetector:
    arrays = {name: _array(numbers, *place) for name, place in document["arrays"].items()}
    of = {
        prefix: {name.removeprefix(f"{prefix}."): values for name, values in arrays.items() if name.startswith(f"{prefix}.")}
        for prefix in ("space", "detector")
    }
    plan = FeaturePlan.from_document(document["plan"])
    detector = detector_of(document["family"], of["detector"])
    if isinstance(detector, IsolationTrees):
        detector.check(len(plan.layout))
    return FittedDetector(
        plan,
        NormalSpace.from_arrays(of["space"]),
        detector,
        float(document["usual"]),
        float(document["limit"]),
        float(document["weeks"]),
        float(document["false_alarms"]),
        tuple(document["account"]),
        tuple(document.get("steady", ())),
    )


def _array(numbers: Floats, begin: int, *shape: int) -> Floats:
    size = int(np.prod(shape))
    if begin < 0 or min(shape) < 0 or begin + size > len(numbers):
        raise ValueError("an array lies outside of its file")
    return np.ascontiguousarray(numbers[begin : begin + size]).reshape(shape)
