"""Alerts that defeat themselves, on the demo line: `python tools/self_defeating_alerts.py [--weeks 4] [--out docs]`.

A model warns of moist biscuits, and the crew acts on every alert, so that the problem does not come. Every week the model is
trained anew on all that happened, in three ways: by the data alone (what was prevented is negative), with the answers as by
default (left out), and with `feedback.avoided: positive`. Each way is a world of its own, because what its model says changes
what happens there; once with the set-points among the features, once without, as where nobody measures what the crew does.
Every model is judged on the same weeks of another line, on which nobody acts on alerts. Draws self-defeating-alerts.svg and
prints the figures.
"""

import argparse
import json
import sys
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import yaml
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from alerting.definitions.model import ClassifierDefinition
from alerting.definitions.validation import parse_definition
from alerting.demo.asset import EVENT_TYPES, demo_asset
from alerting.demo.chance import DAY
from alerting.demo.line import LineState, new_line, simulate
from alerting.demo.ports import SetPointRequest
from alerting.demo.set_points import take_over
from alerting.learning.answers import Answer
from alerting.learning.dataset import build_dataset
from alerting.learning.features import build_features, grid
from alerting.learning.labels import label_instants
from alerting.learning.metrics import row_metrics
from alerting.learning.operating_point import judge_threshold, watch
from alerting.learning.search import search_candidate
from alerting.learning.selection import finish_challenger
from alerting.learning.trained import TrainedModel
from alerting.pipelines.ports import ReadingRow, silent
from alerting.readings.history import History, from_millis, no_events, span_millis, to_millis

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "config" / "examples" / "demo" / "biscuits-too-moist.yaml"
ORIGIN = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE_MS = 60_000
FIRST_DAYS, WEEK, JUDGED_DAYS = 21, 7 * DAY, 21
STRIDE = "10m"
ANSWERED_AFTER = 2
"""Minutes from the alert to the crew's hand on the panel."""
HELP = {"belt_speed_setpoint": -0.8, "zone_3_setpoint": 10.0}
"""What the crew does; it prevents nine of ten problems (docs/demo-line.md)."""
WAYS = {
    "by the data alone": ({}, False),
    "answered alerts left out (default)": ({}, True),
    "answered alerts positive": ({"avoided": "positive"}, True),
}
SIGHTS: dict[str, list[str]] = {
    "the crew's set-points are features": [],
    "nothing shows what the crew does": ["belt_speed_setpoint", "zone_*_setpoint", "zone_3_burner_power"],
}
Worlds = dict[str, list[dict[str, object]]]
COLOURS = ("#b3261e", "#1f6f54", "#3a5fa8")


@dataclass
class World:
    """A line on which one way of training is in service."""

    state: LineState
    rows: list[ReadingRow] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def run(self, until: int) -> None:
        """Let the line run to a minute."""
        stretch = simulate(self.state, until)
        self.rows += stretch.rows
        self.state = stretch.state

    def history(self, last: int | None = None) -> History:
        """All readings, or those of the last minutes."""
        rows = self.rows if last is None else self.rows[-last:]
        index = pd.DatetimeIndex([r.ts for r in rows], name="ts").as_unit("ms")
        frame = pd.DataFrame([r.values for r in rows], index=index, columns=list(demo_asset().variables)).astype(float)
        return History(demo_asset(), frame, no_events(), tuple(EVENT_TYPES))


def definition(unseen: list[str], **feedback: str) -> ClassifierDefinition:
    """The demo's definition with a short search and small later parts, so that a model sees what happened lately."""
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    document["exclude"] += unseen
    learning = {"trials": 1, "folds": 2, "candidates": ["lightgbm"]}
    periods = {"validation": 0.15, "test": 0.1}
    changes = {"learning": learning, "periods": periods, "feedback": feedback, "features": {"stride": STRIDE}}
    parsed = parse_definition({**document, **changes})
    if not isinstance(parsed, ClassifierDefinition):
        raise TypeError(f"{EXAMPLE} is no classifier")
    return parsed


def trained(wanted: ClassifierDefinition, world: World, answers: list[Answer]) -> tuple[TrainedModel, str]:
    """A model of all that happened, and what the answers changed."""
    history = world.history()
    dataset = build_dataset(wanted, 1, [history], history.readings.index[-1].to_pydatetime(), answers)
    model, _ = finish_challenger(dataset, search_candidate(dataset, wanted, "lightgbm", silent), wanted)
    return model, dataset.answered


def serve(world: World, model: TrainedModel, wanted: ClassifierDefinition, until: int) -> int:
    """Let the model warn and the crew act until a minute. Returns the number of alerts."""
    stride, promise = span_millis(wanted.stride) // MINUTE_MS, span_millis(wanted.gap + wanted.horizon) // MINUTE_MS
    lookback = span_millis(model.plan.lookback) // MINUTE_MS + 10
    alerts = 0
    while world.state.minute < until:
        world.run(world.state.minute + stride)
        at = to_millis(world.state.until)
        if model.score(build_features(model.plan, world.history(lookback), np.array([at])))[0] < model.threshold:
            continue
        alerts += 1
        act(world, at, promise)
    return alerts


def act(world: World, raised: int, promise: int) -> None:
    """The crew helps until the promise ends, and calls the alert true where it finds a cause."""
    began = world.state.minute
    world.run(began + ANSWERED_AFTER)
    state = world.state
    settings = [SetPointRequest(n, n, state.setpoint(n, state.minute) + by, "crew") for n, by in HELP.items()]
    world.state = take_over(state, settings)
    world.run(began + promise)
    world.state = replace(world.state, changes=())
    real = any(
        d.start <= began + promise and d.end >= began for d in world.state.schedule.disturbances(began - DAY, began + promise)
    )
    ends, acted = raised + promise * MINUTE_MS, raised + ANSWERED_AFTER * MINUTE_MS
    world.answers.append(Answer(demo_asset().name, raised, ends, acted, "true_alarm" if real else None))


def judged(model: TrainedModel, wanted: ClassifierDefinition, line: History) -> dict[str, float]:
    """The model's worth on a line on which nobody acts on its alerts."""
    first, last = (to_millis(t.to_pydatetime()) for t in line.readings.index[[0, -1]])
    at = grid(first + span_millis(model.plan.lookback), last, span_millis(wanted.stride))
    labels = label_instants(wanted, "onset", line, at, last)
    at, label = at[labels.dropped == ""], labels.label[labels.dropped == ""]
    score = model.score(build_features(model.plan, line, at))
    name = line.asset.name
    problems = labels.problems.assign(asset=name)
    watched = watch(
        at=at,
        asset=np.full(len(at), name, dtype=object),
        problems=problems[problems["start"] > pd.Timestamp(from_millis(int(at[0])))],
        onset=True,
        observed_s={name: len(at) * wanted.stride.total_seconds()},
        gap_ms=span_millis(wanted.gap),
        horizon_ms=span_millis(wanted.horizon),
    )
    events = judge_threshold(watched, score, model.threshold, 0)
    return {
        "event_recall": float(events.event_recall or 0.0),
        "false_alarms_per_week": float(events.false_alarms_per_week or 0.0),
        "average_precision": float(row_metrics(label, score)["ap"] or 0.0),
        "problems": float(events.n_events),
        "threshold": float(model.threshold),
        "risk_before_problems": float(score[label == 1].mean()),
    }


def lived(way: str, unseen: list[str], weeks: int, start: World, line: History) -> list[dict[str, object]]:
    """One world: the figures of its model after each week."""
    feedback, answered = WAYS[way]
    wanted = definition(unseen, **feedback)
    world = World(start.state, list(start.rows))
    model, words = trained(wanted, world, [])
    figures: list[dict[str, object]] = [{"week": 0, "alerts": 0, **judged(model, wanted, line), "answers": words}]
    for week in range(1, weeks + 1):
        alerts = serve(world, model, wanted, world.state.minute + WEEK)
        model, words = trained(wanted, world, world.answers if answered else [])
        figures.append({"week": week, "alerts": alerts, **judged(model, wanted, line), "answers": words})
        print(way, json.dumps(figures[-1]), file=sys.stderr, flush=True)
    return figures


def untouched(seed: int) -> History:
    """Weeks of another line, on which nobody acts on alerts."""
    world = World(new_line(seed + 100, ORIGIN, 1000))
    world.run(JUDGED_DAYS * DAY)
    return world.history()


def draw(sights: dict[str, Worlds], out: Path) -> None:
    """A panel for each sight: the share of problems warned of, by weeks in service."""
    matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "alerting", "font.size": 10})
    figure = Figure(figsize=(9.5, 3.9), layout="constrained")
    panels = figure.subplots(1, len(sights), squeeze=False)[0]
    for axes, (sight, worlds) in zip(panels, sights.items(), strict=True):
        for colour, (way, figures) in zip(COLOURS, worlds.items(), strict=True):
            recall = [f["event_recall"] for f in figures]
            axes.plot([f["week"] for f in figures], recall, color=colour, marker="o", label=way, linewidth=2)
        axes.set(
            title=sight, xlabel="weeks in service, trained anew each week", ylabel="share of problems warned of", ylim=(0, 1)
        )
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None})


def main() -> None:
    """Live all worlds, draw and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weeks", type=int, default=4)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    chosen = parser.parse_args()
    line = untouched(chosen.seed)
    start = World(new_line(chosen.seed, ORIGIN, 1000))
    start.run(FIRST_DAYS * DAY)
    sights = {s: {way: lived(way, unseen, chosen.weeks, start, line) for way in WAYS} for s, unseen in SIGHTS.items()}
    draw(sights, chosen.out / "self-defeating-alerts.svg")
    print(json.dumps(sights, indent=1))


if __name__ == "__main__":
    main()
