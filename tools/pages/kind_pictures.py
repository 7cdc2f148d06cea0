"""Draw one picture for each kind of alert, of small simulated curves with a fixed seed."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTH = 720
LEFT = 20
RIGHT = 540
"""Curves end here; their names stand beside them."""

STYLE = """
text { font-family: system-ui, "DejaVu Sans", Arial, sans-serif; font-size: 13px; fill: #16202c; }
.card { fill: #ffffff; }
.line { fill: none; stroke: #2f6fb5; stroke-width: 2; }
.other { fill: none; stroke: #8a5fb0; stroke-width: 2; }
.points { fill: none; stroke: #9fb0c3; stroke-width: 1.2; }
.limit { stroke: #b3402e; stroke-width: 1.5; stroke-dasharray: 6 4; }
.alert { fill: #f6d9d3; }
.fan { fill: #cfe2f5; }
.soft { fill: #eef2f6; }
.split { stroke: #8595a8; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
text { fill: #f0f4f8; }
.card { fill: #10161d; }
.line { stroke: #6fb0f5; }
.other { stroke: #c79cf0; }
.points { stroke: #5f7186; }
.limit { stroke: #f0826e; }
.alert { fill: #4f231b; }
.fan { fill: #1d3c5c; }
.soft { fill: #1f2933; }
.split { stroke: #7b8ca0; }
}
"""


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` drawn between the heights `bottom` and `top`."""

    low: float
    high: float
    top: float = 40
    bottom: float = 200

    def height(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.bottom - share * (self.bottom - self.top)


@dataclass
class Picture:
    """The elements of one picture, drawn in the order in which they are added."""

    title: str
    steps: int
    height: int = 240
    elements: list[str] = field(default_factory=list)

    def x_at(self, step: float) -> float:
        return LEFT + (RIGHT - LEFT) * step / (self.steps - 1)

    def line(self, axis: Axis, values: Sequence[float], look: str = "line", start: int = 0) -> None:
        points = " ".join(
            f"{self.x_at(start + i):.1f},{axis.height(value):.1f}" for i, value in enumerate(values)
        )
        self.elements.append(f'<polyline class="{look}" points="{points}"/>')

    def fan(self, axis: Axis, low: Sequence[float], high: Sequence[float], start: int) -> None:
        edge = [(start + i, value) for i, value in enumerate(low)]
        edge += [(start + i, value) for i, value in reversed(list(enumerate(high)))]
        points = " ".join(f"{self.x_at(x):.1f},{axis.height(y):.1f}" for x, y in edge)
        self.elements.append(f'<polygon class="fan" points="{points}"/>')

    def limit(self, axis: Axis, value: float, name: str) -> None:
        y = axis.height(value)
        self.elements.append(
            f'<line class="limit" x1="{LEFT}" y1="{y:.1f}" x2="{RIGHT}" y2="{y:.1f}"/>'
        )
        self.name(y, name)

    def name(self, y: float, name: str) -> None:
        """Write a name beside the end of a curve."""
        self.elements.append(f'<text x="{RIGHT + 8}" y="{y + 4:.1f}">{name}</text>')

    def interval(self, start: float, end: float, name: str, look: str = "alert") -> None:
        left = self.x_at(start)
        width = self.x_at(end) - left
        self.elements.append(
            f'<rect class="{look}" x="{left:.1f}" y="28" width="{width:.1f}"'
            f' height="{self.height - 56}"/>'
        )
        self.elements.append(
            f'<text x="{left + width / 2:.1f}" y="20" text-anchor="middle">{name}</text>'
        )

    def instant(self, step: float, name: str) -> None:
        x = self.x_at(step)
        self.elements.append(
            f'<line class="split" x1="{x:.1f}" y1="28" x2="{x:.1f}" y2="{self.height - 28}"/>'
        )
        self.elements.append(
            f'<text x="{x:.1f}" y="{self.height - 10}" text-anchor="middle">{name}</text>'
        )

    def svg(self) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}"'
            f' width="{WIDTH}" height="{self.height}" role="img" aria-labelledby="t">'
        )
        card = f'<rect class="card" width="{WIDTH}" height="{self.height}" rx="10"/>'
        parts = [head, f'<title id="t">{self.title}</title>', f"<style>{STYLE}</style>", card]
        return "\n".join([*parts, *self.elements, "</svg>", ""])


def slow_noise(count: int, seed: int, size: float, memory: float = 0.8) -> list[float]:
    """Return noise of a standard deviation of `size` in which each value resembles the last."""
    draw = random.Random(seed)  # noqa: S311
    value = 0.0
    values = []
    for _ in range(count):
        value = memory * value + math.sqrt(1 - memory**2) * draw.gauss(0, size)
        values.append(value)
    return values


def risen(step: float, begin: float, length: float) -> float:
    """Return the share of a rise that begins at `begin` and takes `length` steps."""
    return min(max((step - begin) / length, 0.0), 1.0)


def threshold_picture() -> str:
    picture = Picture("threshold: a value above its limit for two minutes raises an alert", 90)
    axis = Axis(202, 222)
    noise = slow_noise(90, 3, 1.2)
    values = [208 + 10 * risen(i, 35, 20) - 10 * risen(i, 66, 12) + noise[i] for i in range(90)]
    above = [i for i, value in enumerate(values) if value > 215]
    picture.interval(above[0] + 2, above[-1] + 1, "alert")
    picture.limit(axis, 215, "limit 240 °C")
    picture.line(axis, values)
    picture.name(axis.height(values[-1]), "temperature")
    return picture.svg()


def classifier_picture() -> str:
    picture = Picture(
        "classifier: several variables give a risk before the problem begins", 90, 300
    )
    belt = Axis(-2, 8, 40, 100)
    moisture = Axis(3.6, 5.2, 110, 180)
    risk = Axis(0, 1, 195, 262)
    noise = slow_noise(90, 11, 0.5)
    speeds = [5 * risen(i, 30, 6) + noise[i] for i in range(90)]
    wet = slow_noise(90, 12, 0.05)
    moistures = [4.1 + 0.8 * risen(i, 58, 14) + wet[i] for i in range(90)]
    risks = [1 / (1 + math.exp(3.5 - 1.3 * speed)) for speed in speeds]
    raised = next(i for i, value in enumerate(risks) if value > 0.6)
    begins = next(i for i, value in enumerate(moistures) if value > 4.5)
    picture.interval(raised, begins, "alert: time to act")
    picture.interval(begins, 89, "problem", "soft")
    picture.line(belt, speeds, "other")
    picture.name(belt.height(speeds[-1]), "belt speed")
    picture.limit(moisture, 4.5, "problem: above 4.5 %")
    picture.line(moisture, moistures)
    picture.name(moisture.height(moistures[-1]) - 8, "moisture")
    picture.limit(risk, 0.6, "alarm at 60 %")
    picture.line(risk, risks)
    picture.name(risk.height(risks[-1]) - 4, "risk, by the model")
    return picture.svg()


def forecast_picture() -> str:
    picture = Picture("forecast: the value ahead with its interval will cross the limit", 90)
    axis = Axis(280, 460)
    noise = slow_noise(55, 5, 4)
    past = [300 + 1.3 * i + noise[i] for i in range(55)]
    ahead = range(36)
    median = [past[-1] + 1.3 * i for i in ahead]
    spread = [5 * math.sqrt(i) for i in ahead]
    crosses = 54 + next(i for i, value in enumerate(median) if value > 400)
    picture.fan(
        axis,
        [value - s for value, s in zip(median, spread, strict=True)],
        [value + s for value, s in zip(median, spread, strict=True)],
        54,
    )
    picture.limit(axis, 400, "limit 400 Pa")
    picture.line(axis, past)
    picture.line(axis, median, "other", 54)
    picture.name(axis.height(median[-1]) - 10, "forecast, 90 % interval")
    picture.instant(54, "alert now")
    picture.instant(crosses, "limit expected here")
    return picture.svg()


def anomaly_picture() -> str:
    picture = Picture(
        "anomaly: two variables no longer move together; no limit is written", 90, 300
    )
    current = Axis(-3, 3, 40, 105)
    flow = Axis(-3, 3, 110, 175)
    score = Axis(0, 2, 195, 262)
    common = [1.5 * math.sin(i / 7) for i in range(90)]
    own = slow_noise(90, 22, 0.15)
    currents = [common[i] + own[i] for i in range(90)]
    flows = [common[i] * (1 - 1.6 * risen(i, 60, 6)) - own[i] for i in range(90)]
    distances = [abs(a - b) for a, b in zip(currents, flows, strict=True)]
    usual = sorted(distances[:60])[57]
    scores = [min(max(distances[max(0, i - 14) : i + 1]) / usual / 1.5, 1.9) for i in range(90)]
    raised = next(i for i in range(60, 90) if scores[i] > 1)
    picture.interval(raised, 89, "alert")
    picture.line(current, currents)
    picture.name(current.height(currents[-1]), "motor current")
    picture.line(flow, flows, "other")
    picture.name(flow.height(flows[-1]), "air flow")
    picture.limit(score, 1, "threshold, learned")
    picture.line(score, scores)
    picture.name(score.height(scores[-1]), "how unlike normal")
    return picture.svg()


def control_chart_picture() -> str:
    picture = Picture("control chart: a small lasting shift leaves the control limits", 120)
    axis = Axis(9.4, 10.6)
    draw = random.Random(7)  # noqa: S311
    weights = [10 + draw.gauss(0, 0.15) + (0.2 if i >= 75 else 0) for i in range(120)]
    smoothing = 0.1
    average = 10.0
    averages = []
    for weight in weights:
        average = (1 - smoothing) * average + smoothing * weight
        averages.append(average)
    distance = 2.7 * 0.15 * math.sqrt(smoothing / (2 - smoothing))
    raised = next(i for i in range(75, 120) if abs(averages[i] - 10) > distance)
    picture.interval(0, 60, "normal period: limits are learned", "soft")
    picture.interval(raised, 119, "alert")
    picture.line(axis, weights, "points")
    picture.limit(axis, 10 + distance, "")
    picture.limit(axis, 10 - distance, "control limits")
    picture.line(axis, averages)
    picture.name(axis.height(averages[-1]) - 4, "moving average")
    picture.instant(75, "shift begins")
    return picture.svg()


def kind_pictures() -> dict[str, str]:
    """Return the file name and the text of each picture."""
    return {
        "kind-threshold.svg": threshold_picture(),
        "kind-classifier.svg": classifier_picture(),
        "kind-forecast.svg": forecast_picture(),
        "kind-anomaly.svg": anomaly_picture(),
        "kind-control-chart.svg": control_chart_picture(),
    }
