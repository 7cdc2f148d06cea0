"""Other questions to ask of the same data after a training that found nothing beyond chance."""

from collections.abc import Iterator
from datetime import timedelta
from typing import NamedTuple

import numpy as np

from alerting.definitions.durations import format_duration
from alerting.definitions.model import TrainedDefinition
from alerting.definitions.wording.spoken import spoken_about
from alerting.learning.data.dataset import Dataset
from alerting.readings.history import millis


class ProblemsSeen(NamedTuple):
    """The problems of a dataset, the median distance between their beginnings on one asset (None
    with one or none on each), and the time in which none was ahead or present."""

    problems: int
    apart: timedelta | None
    normal: timedelta


def measure_problems(dataset: Dataset) -> ProblemsSeen:
    """Return the problems of a dataset, as `remedy` names them."""
    starts = dataset.problems.sort_values(["asset", "start"])
    at = millis(starts["start"])
    asset = starts["asset"].to_numpy(object)
    apart = np.diff(at)[asset[1:] == asset[:-1]]
    normal = int((dataset.label[dataset.measured] == 0).sum()) * dataset.plan.stride_ms
    return ProblemsSeen(
        problems=len(at),
        apart=timedelta(milliseconds=float(np.median(apart))) if len(apart) else None,
        normal=timedelta(milliseconds=normal),
    )


def list_questions(definition: TrainedDefinition, data: ProblemsSeen | None) -> Iterator[str]:
    """Yield the questions that may have an answer, each with its figure where one is known."""
    yield _horizon(definition, data)
    yield "variables that move before the problem"
    learned = "" if data is None else f" (here: {spoken_about(data.normal)})"
    yield f"`kind: anomaly`, which learns from normal operation alone{learned}"
    if definition.problem.variable:
        often = "" if data is None else f" (here: {data.problems} times)"
        yield (
            f"`kind: threshold` on {definition.problem.variable}, which warns when it begins{often}"
        )


def _horizon(definition: TrainedDefinition, data: ProblemsSeen | None) -> str:
    """Return which other horizon: at most half of the distance of problems, beyond which a problem
    is nearly always ahead."""
    asked = f"another horizon than {format_duration(definition.horizon)}"
    if data is None or data.apart is None or definition.is_of_unit:
        return asked
    return f"{asked} (problems begin {spoken_about(data.apart)} apart, so below half of that)"
