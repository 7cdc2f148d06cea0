"""Lines with models: humid at random times, after which the moisture leaves its limit, or does not;
their speed and dough are unusual now and then.

Readings of quick lines are evaluated after a second, so that many come late in a storm. Those of
steady lines are waited for, so that none does. Those of sent lines come by HTTP.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from alerting.client import Client
from alerting.definitions.assets import Asset, Variable
from alerting.ports import ReadingRow
from benchmarks.helpers import modelled_lines
from tests.faults.clustered.line import SendingLine
from tests.faults.streamed.line import STEP_S, Line, Sent, documents, instant_of_now
from tests.faults.streamed.parts import STEADY_SUBJECT

STEADY_LATENCY_S = 90
SENT_LATENCY_S = 2
QUICK = ("quick-1", "quick-2")
STEADY = ("steady-1", "steady-2")
SENT = ("sent-1", "sent-2")
STEADY_SOURCE = "steady"
LONGEST_WINDOW_S = 36
"""Time after a reading in which it can change scores: the longest window, and the stride."""
_QUIET_S = 60.0
_USUAL_S = 45.0
_UNTRAINED = {"schedule": {"retrain": None}, "severity": "high"}


def _classifier(name: str, assets: str) -> Mapping[str, Any]:
    return {
        "name": name,
        "kind": "classifier",
        "assets": [assets],
        "problem": {"variable": "moisture", "above": 4.5, "for": "3s"},
        "horizon": "15s",
        "features": {"stride": "5s", "windows": ["10s", "15s", "30s"]},
        "learning": {"trials": 1, "folds": 2, "candidates": ["lightgbm"]},
        "schedule": {"retrain": None},
        "severity": "critical",
    }


CLASSIFIERS = {"moist-quick": "quick-*", "moist-steady": "steady-*", "moist-sent": "sent-*"}
MODELS: Sequence[Mapping[str, Any]] = [
    *(_classifier(name, assets) for name, assets in CLASSIFIERS.items()),
    {
        "name": "moved",
        "kind": "control_chart",
        "assets": ["quick-1", "steady-1"],
        "variable": "speed",
        "chart": "ewma",
        **_UNTRAINED,
    },
    {
        "name": "unlike",
        "kind": "anomaly",
        "assets": ["quick-2", "steady-2"],
        "windows": ["20s"],
        **_UNTRAINED,
    },
]


def humid_assets() -> list[Asset]:
    """Return the assets of all these lines."""
    variable = {
        QUICK: Variable(source=str(documents()["name"])),
        STEADY: Variable(source=STEADY_SOURCE),
        SENT: Variable(latency=f"{SENT_LATENCY_S}s"),
    }
    return [
        Asset(name=name, variables=dict.fromkeys(modelled_lines.VARIABLES, one))
        for names, one in variable.items()
        for name in names
    ]


def latency_s(asset: str) -> float:
    """Return how long the evaluation of a line waits for its readings."""
    if asset in STEADY:
        return STEADY_LATENCY_S
    return SENT_LATENCY_S if asset in SENT else 1


def steady_source() -> Mapping[str, Any]:
    """Return the source of the steady lines."""
    of_steady = {"topic": STEADY_SUBJECT, "latency": f"{STEADY_LATENCY_S}s"}
    return {**documents(), "name": STEADY_SOURCE, **of_steady}


@dataclass
class _Course:
    """Steps until which the air is humid, and from and to which other values are unusual."""

    humid_until: int = 0
    wet: tuple[int, int] = (0, 0)
    fast: tuple[int, int] = (0, 0)
    stiff: tuple[int, int] = (0, 0)


class _Humid(Line):
    """Readings of lines that get humid. The moisture follows in two of three times."""

    assets: Sequence[str] = ()
    steps_at_end = int(_QUIET_S / STEP_S)

    @cached_property
    def _courses(self) -> Mapping[str, _Course]:
        return {asset: _Course() for asset in self.assets}

    def _readings(self, *, normal: bool) -> list[Sent]:
        self._step += 1
        now = instant_of_now()
        found = []
        for asset in self.assets:
            course = self._courses[asset]
            self._go_on(course)
            values = {
                name: float(column[0])
                for name, column in modelled_lines.usual(self._random, 1).items()
            }
            if not normal:
                step = self._step
                values["humidity"] += modelled_lines.HUMID * (step < course.humid_until)
                values["moisture"] += 1.6 * (course.wet[0] <= step < course.wet[1])
                values["speed"] += 6.0 * (course.fast[0] <= step < course.fast[1])
                values["dough"] += 20.0 * (course.stiff[0] <= step < course.stiff[1])
            found.append((asset, now, values))
        return found

    def _go_on(self, course: _Course) -> None:
        """Begin, now and then, another time of humid air and of other unusual values."""
        step = self._step
        if step > max(course.humid_until, course.wet[1]) and self._begins():
            course.humid_until = step + self._steps(8, 30)
            begin = step + self._steps(8, 20)
            follows = self._random.random() < 2 / 3
            course.wet = (begin, begin + self._steps(6, 22)) if follows else (0, 0)
        if step > course.fast[1] and self._begins():
            course.fast = (step, step + self._steps(8, 25))
        if step > course.stiff[1] and self._begins():
            course.stiff = (step, step + self._steps(8, 25))

    def _begins(self) -> bool:
        return bool(self._random.random() < STEP_S / _USUAL_S)

    def _steps(self, least_s: float, most_s: float) -> int:
        return int(self._random.uniform(least_s, most_s) / STEP_S)


class QuickLine(_Humid):
    """The quick lines, by messages."""

    assets = QUICK


class SteadyLine(_Humid):
    """The steady lines, by messages on a subject of their own."""

    assets = STEADY
    subject = STEADY_SUBJECT


class SentLine(_Humid, SendingLine):
    """The sent lines, by HTTP."""

    assets = SENT


class Lines:
    """Several lines as one."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines

    def start(self) -> None:
        for line in self._lines:
            line.start()

    def end(self) -> None:
        for line in self._lines:
            line.end()

    @property
    def is_over(self) -> bool:
        return all(line.is_over for line in self._lines)

    @property
    def count(self) -> int:
        """Return how many readings are confirmed."""
        return sum(len(line.sent) for line in self._lines)

    @property
    def sent(self) -> Mapping[tuple[str, datetime], Mapping[str, float]]:
        """Return the confirmed readings of all, by asset and instant."""
        return {key: values for line in self._lines for key, values in list(line.sent.items())}

    @property
    def repeated(self) -> int:
        return sum(line.repeated for line in self._lines)

    def rows(self) -> list[ReadingRow]:
        return [row for line in self._lines for row in line.rows()]


def all_lines(address: str, api: Client, seed: int) -> Lines:
    """Return the lines with thresholds, and those with models."""
    made = (Line(address, seed), QuickLine(address, seed + 1000), SteadyLine(address, seed + 2000))
    return Lines([*made, SentLine([api], seed + 3000)])
