"""Models are evaluated as soon as what they read has arrived, at their stride, and give what one
evaluation of all gives: scores to the last bit, episodes and states."""

from dataclasses import replace
from functools import partial
from random import Random

import pytest

from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.evaluation.arrived import ArrivedRows, PromptEvaluation
from alerting.usecases.evaluation.rounds import evaluate
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.model_registry import register_model
from alerting.usecases.training.training_steps import train
from tests.builders import at
from tests.helpers import press_line
from tests.helpers.learning.stored_platforms import stored_platform
from tests.helpers.stores import states_of
from tests.humid_line import ASSET, DAY, NAME, humid_oven, learned_quickly, line
from tests.in_memory_platform import in_memory_platform


def trained(asset, rows, document, minute):
    """Return a platform whose definition was trained on the rows up to a minute; no others."""
    platform = in_memory_platform()
    platform.assets.store_assets([asset])
    add_readings(platform, [row for row in rows if row.ts <= at(minute)], at(0))
    apply(platform, [document], "engineer", at(0), "test")
    platform.clock.instant = at(minute)
    assert train(platform, document["name"], at(minute)).promote
    evaluate(platform, None, at(minute))
    return platform


def humid():
    return trained(humid_oven(), line(days=9), learned_quickly(), 8 * DAY)


def press():
    document = {
        "name": "moved",
        "kind": "control_chart",
        "assets": [press_line.ASSET],
        "variable": "force",
        "chart": "ewma",
        "schedule": {"retrain": None},
    }
    return trained(press_line.press(), press_line.rows(), document, press_line.TRAINED)


LINES = {
    "classifier": (partial(stored_platform, humid), NAME, ASSET, line(days=9), 8 * DAY),
    "control_chart": (
        partial(stored_platform, press),
        "moved",
        press_line.ASSET,
        press_line.rows(),
        press_line.SHIFTED - 60,
    ),
}
STEPS = 36


class Streamed:
    """A trained line whose later rows arrive one after another."""

    def __init__(self, kind):
        make, self.name, self.asset, rows, self.start = LINES[kind]
        self.platform = make()
        self.prompt = PromptEvaluation(self.platform)
        add_readings(self.platform, [r for r in rows if r.ts <= at(self.start)], at(self.start))
        self.tick(self.start)
        self.rows = [r for r in rows if at(self.start) < r.ts][:STEPS]

    def store(self, rows, minute):
        arrived = ArrivedRows()
        self.platform.clock.instant = at(minute)
        if rows:
            add_readings(self.platform, rows, at(minute))
            arrived.add(rows)
        return arrived

    def stream(self, rows, minute):
        return self.prompt.evaluate(self.store(rows, minute), at(minute))

    def tick(self, minute):
        self.platform.clock.instant = at(minute)
        evaluate(self.platform, None, at(minute))

    def told(self, rows):
        """Store the last rows, and return scores, episodes, and the state after all."""
        end = self.start + 10 * STEPS
        self.store(rows, end)
        self.tick(end + 1)
        scores = list(self.platform.scores.for_interval(self.name, at(0), at(100 * DAY)))
        found = (e for e in self.platform.episodes.find(self.name) if not e.withdrawn)
        episodes = sorted((e.raised_at, e.closed_at, e.severity_peak) for e in found)
        state = states_of(self.platform, self.name, [self.asset])[self.asset]
        return scores, episodes, (state.watermark, state.raised_at, state.pending_since)


@pytest.fixture(scope="module", params=LINES)
def undisturbed(request):
    """The kind, and the result of one evaluation after all rows have arrived."""
    alone = Streamed(request.param)
    told = alone.told(alone.rows)
    assert len(told[1]) >= 1, "nothing happens on this line"
    return request.param, told


@pytest.mark.parametrize(("seed", "late"), [(1, ()), (2, (3, 20))])
def test_service_and_scheduler_that_evaluate_models_in_turn_give_what_one_evaluation_gives(
    undisturbed, seed, late
):
    turns = Random(seed).choices(["stream", "stream", "killed", "tick", "both", "none"], k=STEPS)
    kind, expected = undisturbed
    live = Streamed(kind)
    waiting = []
    held = []
    for i, (row, turn) in enumerate(zip(live.rows, turns, strict=True)):
        minute = live.start + 10 * (i + 1)
        (held if i in late else waiting).append(row)
        if i - 2 in late:
            waiting.append(held.pop(0))
        if turn == "none":
            continue
        (live.stream if turn in ("stream", "both") else live.store)(waiting, minute)
        waiting = []
        if turn == "killed":  # after it has stored rows: another service knows nothing of them
            live.prompt = PromptEvaluation(live.platform)
        if turn in ("tick", "both"):
            live.tick(minute)
    scores, *others = live.told([*waiting, *held])
    assert others == list(expected[1:])
    assert late or scores == expected[0]  # a stored score does not change with late data


def test_a_model_is_evaluated_with_the_reading_that_completes_its_stride_and_not_before():
    live = Streamed("classifier")
    first, second = live.rows[:2]
    assert live.stream([first], live.start + 10).targets == 1  # its stride is not known yet
    off_grid = live.start + 14
    between = replace(second, ts=at(off_grid))
    assert live.stream([between], off_grid).targets == 0
    assert live.prompt.waits
    assert [live.prompt.is_due(at(live.start + minute)) for minute in (19, 20)] == [False, True]
    assert live.stream([second], live.start + 20).targets == 1
    scored = live.platform.scores.for_interval(NAME, at(live.start), at(99 * DAY))
    assert max(row["ts"] for row in scored) == at(live.start + 20)


def test_a_promoted_champion_gives_the_next_score_and_the_models_stay_in_memory():
    live = Streamed("classifier")
    platform = live.platform
    live.stream(live.rows[:1], live.start + 10)
    first = platform.decisions.for_definition(NAME)[-1]
    files = platform.models.registered[NAME][0].files
    run = platform.runs.start_run(NAME, "again", {"definition": NAME})
    version = register_model(platform, NAME, run, files, {"training_run": run}, {})
    promoted = replace(first, at=at(live.start + 11), run_id=run, challenger_version=version)
    assert platform.decisions.add(promoted, rank=2)
    reads = []
    stored = platform.models.model_files
    platform.models.model_files = lambda *key: reads.append(key) or stored(*key)
    for number in (1, 2):
        live.stream(live.rows[number : number + 1], live.start + 10 + 10 * number)
    scored = platform.scores.for_interval(NAME, at(live.start + 1), at(99 * DAY))
    assert [row["model_version"] for row in scored] == [first.challenger_version, version, version]
    assert reads == [], "equal files are parsed once"
