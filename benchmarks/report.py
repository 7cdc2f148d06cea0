"""Reports of a month on 500 definitions with 100,000 episodes: minutes and peak memory.

On a real embedded server: 100 assets with ten variables every ten minutes over two months, 250
classifiers with a score every half hour, 250 thresholds, 200 episodes each with reasons, answers
and outcomes. Each report is gathered, computed, drawn and rendered, as for the schedule, and its
tables are made; storing and mailing are left out.
"""

import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.revisions import next_revision
from alerting.detection.evaluation_results_and_texts import Evaluation
from alerting.episodes.episode import Contribution, Episode, Feedback, OutcomeRecord, episode_id
from alerting.kinds.registry import parse_definition
from alerting.ports import PastEvaluation, Platform, ReadingRow, Score, TargetScores
from alerting.reporting.definition.conclusion import conclude
from alerting.reporting.definition.report_metrics import compute_metrics
from alerting.reporting.episode_details import tables
from alerting.reporting.report_page import draw, render_page
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.stores.database.documents import EPISODES, to_document
from alerting.usecases.report_material import gather_material
from alerting.wiring import assemble
from benchmarks.helpers.memory import peak_mib

DEFINITIONS = 500
EPISODES_MADE = 100_000
ASSETS = 100
VARIABLES = 10
BEFORE = datetime(2026, 2, 1, tzinfo=UTC)
START = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 4, 1, tzinfo=UTC)
READING = timedelta(minutes=10)
SCORE = timedelta(minutes=30)
BATCH = 5_000
GOAL_MINUTES = 10
GOAL_MIB = 1024


def run() -> dict[str, Any]:
    """Return the minutes for all reports and the peak memory of this process."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", free_port()) as server,
    ):
        client = connect(server.uri)
        stores = MongoStores(client["reports"])
        prepare_database(stores.database)
        _fill(stores)
        platform = assemble(Settings(Path(folder), mongodb_uri=server.uri), stores, channels=False)
        began = time.monotonic()
        cpu = time.process_time()
        largest = _reports(platform)
        minutes = (time.monotonic() - began) / 60
        cpu_minutes = (time.process_time() - cpu) / 60
        client.close()
    memory = peak_mib()
    return {
        "benchmark": "report",
        "figure": round(minutes, 2),
        "unit": (f"minutes for {DEFINITIONS} reports on a month with {EPISODES_MADE} episodes"),
        "cpu_minutes": round(cpu_minutes, 2),
        "peak_mib": round(memory),
        "largest_page_kb": round(largest / 1000),
        "peer": None,
        "ratio": None,
        "goal": f"at most {GOAL_MINUTES} minutes and {GOAL_MIB} MiB",
        "met": minutes <= GOAL_MINUTES and memory <= GOAL_MIB,
    }


def _reports(platform: Platform) -> int:
    largest = 0
    for revision in platform.definitions.latest_revisions():
        material = gather_material(platform, revision, START, END, END, BEFORE)
        metrics = compute_metrics(material)
        page = render_page(metrics, conclude(metrics), draw(metrics, material))
        for table in tables(metrics).values():
            table.to_csv()
        largest = max(largest, len(page.encode()))
    return largest


def _fill(stores: MongoStores) -> None:
    rng = np.random.default_rng(0)
    known = {f"v{i}": Variable(title=f"zone {i} temperature", unit="°C") for i in range(VARIABLES)}
    stores.assets.store_assets([Asset(name=f"oven-{i}", variables=known) for i in range(ASSETS)])
    for asset in range(ASSETS):
        stores.reading_writes.insert(list(made_readings(f"oven-{asset}", rng)), END)
    for number in range(DEFINITIONS):
        definition = parse_definition(definition_of(number))
        stores.definitions.store_document(definition_of(number))
        stores.definitions.add_revision(
            next_revision(definition, None, "benchmark", BEFORE, "made up")
        )
        model = 1 if number % 2 else None
        stores.past_evaluations.add(
            PastEvaluation(definition.name, asset_of(number), BEFORE, END, 1, model, BEFORE)
        )
        if model:
            stores.scores.add_many(
                [TargetScores(definition.name, asset_of(number), list(made_scores(rng)))]
            )
    made = [_episode(n) for n in range(EPISODES_MADE)]
    for first in range(0, EPISODES_MADE, BATCH):
        stores.database[EPISODES].insert_many(
            [stored(e) for e in made[first : first + BATCH]], ordered=False
        )


def asset_of(number: int) -> str:
    """Return the name of the asset of a definition."""
    return f"oven-{number % ASSETS}"


def definition_of(number: int) -> dict[str, Any]:
    """Return a document: odd numbers are classifiers, even ones thresholds."""
    common = {
        "name": f"alert-{number}",
        "assets": [asset_of(number)],
        "costs": {"miss": 900, "false_alarm": 50},
    }
    if number % 2:
        return common | {
            "kind": "classifier",
            "problem": {"variable": "v1", "above": 215},
            "horizon": "4h",
        }
    return common | {"kind": "threshold", "variable": "v1", "above": 212}


def made_readings(asset: str, rng: np.random.Generator) -> Iterator[ReadingRow]:
    count = (END - BEFORE) // READING
    values = 200 + 5 * rng.standard_normal((count, VARIABLES))
    for i in range(count):
        yield ReadingRow(
            asset, BEFORE + i * READING, {f"v{j}": float(values[i, j]) for j in range(VARIABLES)}
        )


def made_scores(rng: np.random.Generator) -> Iterator[Score]:
    count = (END - BEFORE) // SCORE
    for i, score in enumerate(rng.beta(0.5, 8, count)):
        yield Score(BEFORE + i * SCORE, float(score), 0.5, 1)


def _episode(number: int) -> Episode:
    place = number // DEFINITIONS
    raised = START + place * (END - START) / (EPISODES_MADE // DEFINITIONS)
    return episode_of(number % DEFINITIONS, raised, right=number % 3 == 0)


def episode_of(definition: int, raised: datetime, right: bool) -> Episode:
    """Return a closed episode of a definition with outcome, answer and reasons."""
    id = episode_id(f"alert-{definition}", asset_of(definition), raised)
    trained = definition % 2 == 1
    answer = Feedback(
        id,
        "true_alarm" if right else "false_alarm",
        right,
        "opened the damper",
        None,
        "anna",
        raised,
    )
    return Episode(
        id=id,
        definition=f"alert-{definition}",
        revision=1,
        kind="classifier" if trained else "threshold",
        asset=asset_of(definition),
        title="Oven too hot",
        severity="high",
        raised_at=raised,
        detected_at=raised + timedelta(seconds=20),
        condition="closed",
        closed_at=raised + timedelta(minutes=50),
        evaluation=Evaluation(
            raised, "triggered", "risk 80 % is at or above 50 %", 0.8, 0.5, 1 if trained else None
        ),
        contributions=tuple(
            Contribution(f"v{i}", 0.05, 1.0, 0.0, f"zone {i} is warm") for i in range(6)
        )
        if trained
        else (),
        feedback=(answer,) if trained else (),
        outcome_record=OutcomeRecord(
            "hit" if right else "false_alarm", "made up", right, None, False, right, 1
        ),
    )


def stored(episode: Episode) -> dict[str, Any]:
    """Return the document of an episode as the database keeps it."""
    document = to_document(episode)
    return {"_id": document.pop("id"), **document}
