"""Alerts that defeat themselves, on the demo line: `python tools/self_defeating_alerts.py [--steps
6] [--out docs]`.

A model warns of moist biscuits, and the crew acts on every alert, so that the problem does not
occur. Every few days a challenger is trained on all data so far, in three ways: without feedback (a
prevented problem is negative), with feedback by default (left out), and with `feedback.avoided:
positive`; once with the set-points among the features, once without, as in plants that do not
measure the crew's actions. Every challenger is scored on the same days of another line, whose crew
ignores alerts. The tool draws self-defeating-alerts.svg and prints the metrics.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import yaml
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from alerting.demo.disturbances import DAY
from alerting.demo.line import EVENT_TYPES, DemoLineState, demo_asset, new_line, simulate
from alerting.demo.stored_line import SetPointRequest, take_over
from alerting.episodes.prediction_rule import alarm_end_of
from alerting.kinds.classifier.definition import ClassifierDefinition
from alerting.kinds.registry import parse_definition
from alerting.learning.data.dataset import build_dataset
from alerting.learning.data.row_labels import FeedbackLabel, label_instants
from alerting.learning.features.point_in_time import build_features, grid
from alerting.learning.models.trained import TrainedModel
from alerting.learning.score_metrics import row_metrics
from alerting.learning.selection.challenger import finish_challenger
from alerting.learning.selection.classifier_search import search_candidate
from alerting.learning.selection.operating_point import evaluate_threshold, observe_rows
from alerting.ports import ReadingRow, silent
from alerting.readings.history import History, duration_millis, from_millis, no_events, to_millis

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config" / "examples" / "demo" / "biscuits-too-moist.yaml"
ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE_MS = 60_000
FIRST_DAYS = 14
STEP_DAYS = 4
EVALUATED_DAYS = 10
STRIDE = "10m"
ANSWERED_AFTER = 2
"""Minutes from the alert to the crew's hand on the panel."""
HELP = {"belt_speed_setpoint": -0.8, "zone_3_setpoint": 10.0}
"""The action of the crew; it prevents nine of ten problems (docs/demo-line.md)."""
WAYS = {
    "by the data alone": ({}, False),
    "answered alerts left out (default)": ({}, True),
    "answered alerts positive": ({"avoided": "positive"}, True),
}
FOLLOWING = ["belt_speed", "zone_*_temperature"]
"""Variables that only follow the set-points: no model of the trial sees them."""
SIGHTS: dict[str, list[str]] = {
    "the crew's set-points are features": [],
    "nothing shows what the crew does": [
        "belt_speed_setpoint",
        "zone_*_setpoint",
        "zone_3_burner_power",
    ],
}
Metrics = dict[str, object]
COLOURS = ("#b3261e", "#1f6f54", "#3a5fa8")


@dataclass
class World:
    """A line with its sensor readings and the feedback of its crew."""

    state: DemoLineState
    rows: list[ReadingRow] = field(default_factory=list)
    answers: list[FeedbackLabel] = field(default_factory=list)

    def run(self, until: int) -> None:
        """Run the line up to a minute."""
        simulated = simulate(self.state, until)
        self.rows += simulated.rows
        self.state = simulated.state

    def history(self, last: int | None = None) -> History:
        """Return all readings, or those of the last minutes."""
        rows = self.rows if last is None else self.rows[-last:]
        index = pd.DatetimeIndex([r.ts for r in rows], name="ts").as_unit("ms")
        frame = pd.DataFrame(
            [r.values for r in rows], index=index, columns=list(demo_asset().variables)
        ).astype(float)
        return History(demo_asset(), frame, no_events(), tuple(EVENT_TYPES))


def definition(unseen: list[str], **feedback: str) -> ClassifierDefinition:
    """Return the demo's definition with a short search and small later parts, so that a model
    learns from recent data."""
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    document["exclude"] = [*FOLLOWING, *unseen]
    learning = {"trials": 1, "folds": 2, "candidates": ["lightgbm"]}
    periods = {"validation": 0.15, "test": 0.1}
    changes = {
        "learning": learning,
        "periods": periods,
        "feedback": feedback,
        "features": {"stride": STRIDE},
    }
    parsed = parse_definition({**document, **changes})
    if not isinstance(parsed, ClassifierDefinition):
        raise TypeError(f"{EXAMPLE} is no classifier")
    return parsed


def trained(
    wanted: ClassifierDefinition, world: World, answers: list[FeedbackLabel]
) -> tuple[TrainedModel, str]:
    """Return a model trained on all data so far, and the effect of the feedback on its labels."""
    history = world.history()
    dataset = build_dataset(
        wanted, 1, [history], history.readings.index[-1].to_pydatetime(), answers
    )
    model, _ = finish_challenger(
        dataset, search_candidate(dataset, wanted, "lightgbm", silent), wanted
    )
    return model, dataset.answered


def serve(world: World, model: TrainedModel, wanted: ClassifierDefinition, until: int) -> int:
    """Simulate the model's alerts and the crew's actions up to a minute. Returns the number of
    alerts."""
    stride = duration_millis(wanted.stride) // MINUTE_MS
    prediction_window = duration_millis(wanted.gap + wanted.horizon) // MINUTE_MS
    lookback = duration_millis(model.plan.lookback) // MINUTE_MS + 10
    alerts = 0
    while world.state.minute < until:
        world.run(world.state.minute + stride)
        at = to_millis(world.state.until)
        if (
            model.score(build_features(model.plan, world.history(lookback), np.array([at])))[0]
            < model.threshold
        ):
            continue
        alerts += 1
        act(world, at, prediction_window)
    return alerts


def act(world: World, raised: int, prediction_window: int) -> None:
    """Apply the crew's corrections until the prediction window ends, and confirm the alert if the
    crew finds a cause."""
    began = world.state.minute
    world.run(began + ANSWERED_AFTER)
    state = world.state
    settings = [
        SetPointRequest(n, n, state.setpoint(n, state.minute) + by, "crew")
        for n, by in HELP.items()
    ]
    world.state = take_over(state, settings)
    world.run(began + prediction_window)
    world.state = replace(world.state, changes=())
    real = any(
        d.start <= began + prediction_window and d.end >= began
        for d in world.state.schedule.disturbances(began - DAY, began + prediction_window)
    )
    ends = raised + prediction_window * MINUTE_MS
    acted = raised + ANSWERED_AFTER * MINUTE_MS
    world.answers.append(
        FeedbackLabel(demo_asset().name, raised, ends, acted, "true_alarm" if real else None)
    )


def evaluate_model(model: TrainedModel, wanted: ClassifierDefinition, line: History) -> Metrics:
    """Return the model's metrics on a line whose crew ignores its alerts."""
    first, last = (to_millis(t.to_pydatetime()) for t in line.readings.index[[0, -1]])
    at = grid(first + duration_millis(model.plan.lookback), last, duration_millis(wanted.stride))
    labels = label_instants(wanted, "onset", line, at, last)
    at = at[labels.measured]
    label = labels.label[labels.measured]
    score = model.score(build_features(model.plan, line, at))
    name = line.asset.name
    problems = labels.problems.assign(asset=name)
    observed = observe_rows(
        at=at,
        asset=np.full(len(at), name, dtype=object),
        measured=np.ones(len(at), np.bool_),
        problems=problems[problems["start"] > pd.Timestamp(from_millis(int(at[0])))],
        occurrences=pd.DataFrame(labels.occurrences.columns(name)),
        onset=True,
        observed_s={name: len(at) * wanted.stride.total_seconds()},
        gap_ms=duration_millis(wanted.gap),
        horizon_ms=duration_millis(wanted.horizon),
        alarm_end=alarm_end_of(wanted, wanted.stride),
    )
    events = evaluate_threshold(observed, score, model.threshold, 0)
    return {
        "event_recall": float(events.event_recall or 0.0),
        "false_alarms_per_week": float(events.false_alarms_per_week or 0.0),
        "average_precision": float(row_metrics(label, score)["ap"] or 0.0),
        "problems": float(events.n_events),
        "threshold": float(model.threshold),
        "risk_before_problems": float(score[label == 1].mean()),
    }


def challengers(world: World, line: History, days: int) -> list[Metrics]:
    """Return the metrics of a challenger for each way and sight, trained on all data so far."""
    found = []
    for sight, unseen in SIGHTS.items():
        for way, (feedback, answered) in WAYS.items():
            wanted = definition(unseen, **feedback)
            model, answers = trained(wanted, world, world.answers if answered else [])
            metrics = {
                "sight": sight,
                "way": way,
                "days": days,
                "alerts": len(world.answers),
                "answers": answers,
            }
            found.append(metrics | evaluate_model(model, wanted, line))
    return found


def simulate_life(world: World, line: History, steps: int) -> Iterator[list[Metrics]]:
    """Train a model, put it into service, and train challengers at the start and after every
    step."""
    wanted = definition([])
    model, _ = trained(wanted, world, [])
    yield challengers(world, line, 0)
    for step in range(1, steps + 1):
        serve(world, model, wanted, (FIRST_DAYS + step * STEP_DAYS) * DAY)
        yield challengers(world, line, step * STEP_DAYS)


def untouched(seed: int) -> History:
    """Return weeks of another line, whose crew ignores alerts."""
    world = World(new_line(seed + 100, ORIGIN, 1000))
    world.run(EVALUATED_DAYS * DAY)
    return world.history()


def first_days(seed: int) -> World:
    """Return the line before any model is in service."""
    world = World(new_line(seed, ORIGIN, 1000))
    world.run(FIRST_DAYS * DAY)
    return world


def draw(metrics: Sequence[Metrics], out: Path) -> None:
    """Draw a panel for each sight: the share of problems warned of, by days in service."""
    matplotlib.rcParams.update(
        {"svg.fonttype": "none", "svg.hashsalt": "alerting", "font.size": 10}
    )
    figure = Figure(figsize=(9.5, 3.9), layout="constrained")
    panels = figure.subplots(1, len(SIGHTS), squeeze=False)[0]
    for axes, sight in zip(panels, SIGHTS, strict=True):
        for colour, way in zip(COLOURS, WAYS, strict=True):
            points = [
                (f["days"], f["event_recall"])
                for f in metrics
                if (f["sight"], f["way"]) == (sight, way)
            ]
            axes.plot(*zip(*points, strict=True), color=colour, marker="o", label=way, linewidth=2)
        axes.set(
            title=sight,
            xlabel="days in service before the training",
            ylabel="share of problems warned of",
            ylim=(0, 1),
        )
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(
        *panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None})


def main() -> None:
    """Run the simulation, train and score challengers, draw the chart and print the metrics."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    chosen = parser.parse_args()
    metrics = [
        f
        for step in simulate_life(first_days(chosen.seed), untouched(chosen.seed), chosen.steps)
        for f in step
    ]
    draw(metrics, chosen.out / "self-defeating-alerts.svg")
    print(json.dumps(metrics, indent=1))


if __name__ == "__main__":
    main()
