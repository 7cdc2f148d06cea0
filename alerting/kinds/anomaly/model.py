"""The model of kind `anomaly`: the fitted detector of each asset, as a file of plain numbers and one that describes them."""

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np

from alerting.detection.anomalies.detectors import Detector, arrays_of, detector_of
from alerting.detection.anomalies.normal_space import Floats, NormalSpace
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
    """

    plan: FeaturePlan
    space: NormalSpace
    detector: Detector
    usual: float
    limit: float
    weeks: float
    false_alarms: float
    account: tuple[str, ...] = field(compare=False)

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
        """Return how unlike normal each row is; NaN where fewer than half of the variables have a value."""
        known = self.is_known(matrix)
        scores = np.full(len(matrix), np.nan)
        if known.any():
            scores[known] = self.abnormality(self.detector.score(self.space.encode(matrix[known])))
        return scores

    def is_known(self, matrix: Floats) -> Any:
        """Return which rows have values of at least half of the variables."""
        return known_variables(matrix, self.columns_by_variable.values()) * 2 >= len(self.columns_by_variable)


def usual_clear_for(plan: FeaturePlan) -> int:
    """Return the off-delay (ms) by default: the shortest window, after which an anomaly has left it, at least three strides."""
    return max(_CLEAR_STRIDES * plan.stride_ms, plan.windows_ms[0])


def known_variables(matrix: Floats, groups: Iterable[list[int]]) -> Any:
    """Return how many groups of columns have a value in each row."""
    return np.sum([~np.isnan(matrix[:, columns]).all(axis=1) for columns in groups], axis=0)


@dataclass(frozen=True)
class AnomalyModel:
    """The detectors by asset. `training_cutoff`: last instant of the normal history; no instant up to it is evaluated."""

    family: str
    revision: int
    training_cutoff: datetime
    detectors: Mapping[str, FittedDetector]

    refit = None

    @cached_property
    def hash(self) -> str:
        """Return the hash of all numbers that decide a score."""
        digest = hashlib.sha256(self.training_cutoff.isoformat().encode())
        for asset, fitted in sorted(self.detectors.items()):
            digest.update(json.dumps([asset, _settings(fitted)], sort_keys=True).encode())
            for name, values in sorted(_arrays(fitted).items()):
                digest.update(f"{name}{values.shape}".encode() + np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def _settings(fitted: FittedDetector) -> dict[str, Any]:
    return {
        "plan": fitted.plan.to_document(),
        "family": fitted.detector.family,
        **{name: getattr(fitted, name) for name in ("usual", "limit", "weeks", "false_alarms")},
    }


def _arrays(fitted: FittedDetector) -> dict[str, Floats]:
    detector = {f"detector.{name}": values for name, values in arrays_of(fitted.detector).items()}
    return {f"space.{name}": values for name, values in fitted.space.arrays().items()} | detector


def to_files(model: AnomalyModel) -> Files:
    """Return the files of a model: all numbers in one array, and where each array of each asset lies in it."""
    parts, detectors, begin = list[Floats](), dict[str, Any](), 0
    for asset, fitted in sorted(model.detectors.items()):
        layout = {}
        for name, values in _arrays(fitted).items():
            layout[name] = [begin, *values.shape]
            parts.append(np.ascontiguousarray(values).ravel())
            begin += values.size
        detectors[asset] = {**_settings(fitted), "account": list(fitted.account), "arrays": layout}
    document = {
        "format": FORMAT,
        "family": model.family,
        "revision": model.revision,
        "training_cutoff": model.training_cutoff.isoformat(),
        "hash": model.hash,
        "detectors": detectors,
    }
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
        cutoff = datetime.fromisoformat(document["training_cutoff"])
        model = AnomalyModel(document["family"], document["revision"], cutoff, detectors)
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
    return FittedDetector(
        FeaturePlan.from_document(document["plan"]),
        NormalSpace.from_arrays(of["space"]),
        detector_of(document["family"], of["detector"]),
        float(document["usual"]),
        float(document["limit"]),
        float(document["weeks"]),
        float(document["false_alarms"]),
        tuple(document["account"]),
    )


def _array(numbers: Floats, begin: int, *shape: int) -> Floats:
    size = int(np.prod(shape))
    if begin < 0 or min(shape) < 0 or begin + size > len(numbers):
        raise ValueError("an array lies outside of its file")
    return np.ascontiguousarray(numbers[begin : begin + size]).reshape(shape)
