"""CPU time of five parts at four sizes of a plant, with the exponent of its growth.

- evaluation: a tick of a minute of readings; ten thresholds on each asset, which has one variable
- import: a new CSV file with 20 values in each row
- training: LightGBM on rows of ten variables, as `training_scale`
- report: a month of a model alert on many assets, with 100 episodes on each
- console: the front page; 100 assets on each line with 5,000 episodes, and an alarm that is raised
  or ends before each request

The CPU time of the database server counts, but in trainings, which do not use it. Two exponents of
each part: the slope of a straight line through the logarithms of all four sizes, and the slope
between the two largest, where fixed costs hide least. The steeper of both counts.
"""

import os
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from alerting.adapters.embedded.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.indexes import EPISODES
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.console.app import create_app
from alerting.definitions.assets import Asset, Variable
from alerting.definitions.revisions import next_revision
from alerting.episodes.episode import Episode, episode_id
from alerting.kinds.validation import parse_definition
from alerting.ports import PastEvaluation
from alerting.reporting.definition.conclusion import conclude
from alerting.reporting.definition.metrics import compute_metrics
from alerting.reporting.page.page import draw, render_page
from alerting.reporting.page.tables import tables
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.usecases.report_material.material import gather_material
from alerting.wiring import assemble
from benchmarks import evaluate, front_page, import_rate, training_scale
from benchmarks.console import SIGN_IN
from benchmarks.helpers.timing import cpu_seconds, cpu_seconds_with
from benchmarks.reports import report

GOAL = 1.1
SIZES: Mapping[str, tuple[int, ...]] = {
    "evaluation": (1_000, 3_000, 10_000, 30_000),
    "import": (50_000, 100_000, 200_000, 400_000),
    "training": (50_000, 100_000, 200_000, 400_000),
    "report": (300, 1_000, 3_000, 10_000),
    "console": (400, 800, 1_600, 3_200),
}
UNITS: Mapping[str, str] = {
    "evaluation": "targets",
    "import": "rows",
    "training": "rows",
    "report": "episodes",
    "console": "assets",
}
TICKS = 5
REQUESTS = 15
EPISODES_EACH = 100  # on an asset in a report
Measure = Callable[[str, int, Path, int], float]


def run(sizes: Mapping[str, Sequence[int]] = SIZES) -> dict[str, Any]:
    """Return CPU seconds by part and size, and the exponents of each part."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", free_port()) as server,
    ):
        spent = {
            part: {
                size: _alone(_MEASURES[part], server, Path(folder), size) for size in sizes[part]
            }
            for part in sizes
        }
    exponents = {part: exponents_of(list(found.items())) for part, found in spent.items()}
    steepest = max(exponents, key=lambda part: max(exponents[part].values()))
    figure = max(exponents[steepest].values())
    return {
        "benchmark": "growth",
        "figure": figure,
        "unit": f"exponent of the CPU time of the steepest part ({steepest})",
        "peer": "as many times the time as the size",
        "peer_figure": 1.0,
        "ratio": round(1 / figure, 2),
        "goal": f"at most {GOAL}",
        "met": figure <= GOAL,
        "exponents": exponents,
        "cpu_s": {
            f"{part} ({UNITS[part]})": {str(size): round(cpu, 3) for size, cpu in found.items()}
            for part, found in spent.items()
        },
        "load": round(os.getloadavg()[0], 1),
    }


def exponents_of(points: Sequence[tuple[int, float]]) -> dict[str, float]:
    """Return the exponents of growth of (size, cost), in increasing order of sizes: of all by least
    squares of the logarithms, and of the two largest."""
    logs = np.log(np.array(points, float))
    slope = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
    last = (logs[-1, 1] - logs[-2, 1]) / (logs[-1, 0] - logs[-2, 0])
    return {"all": round(slope, 2), "largest": round(float(last), 2)}


def _alone(measure: Measure, server: EmbeddedMongod, folder: Path, size: int) -> float:
    """Return CPU seconds, measured in a process of its own, on an empty database."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(measure, server.uri, server.pid, folder, size).result()


def _evaluate(uri: str, server: int, _: Path, size: int) -> float:
    random = np.random.default_rng(0)
    assets = size // 10
    with connect(uri) as client:
        stores = MongoStores(client[f"evaluation_{size}"])
        prepare_database(stores.database)
        evaluate.write_definitions(stores, size, evaluate.T0, assets=assets)
        spent = []
        for tick in range(TICKS + 1):
            evaluate.write_readings(stores, assets, tick, evaluate.TICK_S, random)
            end = evaluate.T0 + timedelta(seconds=evaluate.TICK_S * (tick + 1))
            before = cpu_seconds(server)
            found = evaluate.evaluate_once(uri, stores.database.name, end)
            spent.append(found["cpu_s"] + cpu_seconds(server) - before)
        client.drop_database(stores.database.name)
    return statistics.median(spent[1:])


def _import(uri: str, server: int, folder: Path, size: int) -> float:
    file = folder / f"rows_{size}.csv"
    blocks = size // import_rate.ROWS
    for number in range(blocks):
        begin = import_rate.START + number * timedelta(
            minutes=import_rate.ROWS // import_rate.ASSETS
        )
        import_rate.write_rows(file, begin.strftime("%Y-%m-%d %H:%M"), "a" if number else "w")
    with connect(uri) as client:
        prepare_database(client[file.stem])
        before = cpu_seconds_with(server)
        import_rate.import_file(file, uri, size)
        spent = cpu_seconds_with(server) - before
        client.drop_database(file.stem)
    file.unlink()
    return spent


def _train(_uri: str, _server: int, _folder: Path, size: int) -> float:
    return float(training_scale.measure_rows(size)["cpu_seconds"])


def _report(uri: str, server: int, folder: Path, size: int) -> float:
    rng = np.random.default_rng(0)
    names = [f"oven-{number}" for number in range(size // EPISODES_EACH)]
    document = {**report.definition_of(1), "assets": ["oven-*"]}
    with connect(uri) as client:
        stores = MongoStores(client[f"report_{size}"])
        prepare_database(stores.database)
        known = {f"v{i}": Variable(unit="°C") for i in range(report.VARIABLES)}
        stores.assets.store_assets([Asset(name=name, variables=known) for name in names])
        stores.definitions.store_document(document)
        revision = next_revision(
            parse_definition(document), None, "benchmark", report.BEFORE, "made up"
        )
        stores.definitions.add_revision(revision)
        for name in names:
            stores.reading_writes.insert(list(report.made_readings(name, rng)), report.END)
            stores.scores.add(revision.name, name, list(report.made_scores(rng)))
            stores.past_evaluations.add(
                PastEvaluation(revision.name, name, report.BEFORE, report.END, 1, 1, report.BEFORE)
            )
            stores.database[EPISODES].insert_many(
                [report.stored(_episode(name, number)) for number in range(EPISODES_EACH)]
            )
        platform = assemble(Settings(folder, mongodb_uri=uri), stores, channels=False)
        before = cpu_seconds_with(server)
        material = gather_material(
            platform, revision, report.START, report.END, report.END, report.BEFORE
        )
        metrics = compute_metrics(material)
        render_page(metrics, conclude(metrics), draw(metrics, material))
        for table in tables(metrics).values():
            table.to_csv()
        spent = cpu_seconds_with(server) - before
        client.drop_database(stores.database.name)
    return spent


def _episode(asset: str, number: int) -> Episode:
    raised = report.START + number * (report.END - report.START) / EPISODES_EACH
    made = report.episode_of(1, raised, right=number % 3 == 0)
    id = episode_id(made.definition, asset, raised)
    answers = tuple(replace(one, episode=id) for one in made.feedback)
    return replace(made, id=id, asset=asset, feedback=answers)


def _open_front_page(uri: str, server: int, folder: Path, size: int) -> float:
    with connect(uri) as client:
        stores = MongoStores(client[f"console_{size}"])
        prepare_database(stores.database)
        settings = Settings(folder, mongodb_uri=uri)
        front_page.fill(stores, settings, size // 100)
        browser = TestClient(create_app(assemble(settings, stores, channels=False), SIGN_IN))
        browser.post("/login", data={"token": next(iter(SIGN_IN))})
        spent = []
        for _ in range(REQUESTS + 1):
            front_page.raise_or_end(stores)
            before = cpu_seconds_with(server)
            assert browser.get("/").status_code == 200
            spent.append(cpu_seconds_with(server) - before)
        client.drop_database(stores.database.name)
    return statistics.mean(sorted(spent[1:])[: REQUESTS // 2])  # ticks of the server's clock: 10 ms


_MEASURES: Mapping[str, Measure] = {
    "evaluation": _evaluate,
    "import": _import,
    "training": _train,
    "report": _report,
    "console": _open_front_page,
}
