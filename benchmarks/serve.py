"""Time of an answer of `POST …/predict`, at one client and at fifty, beside `mlflow models serve`
of the same model; and of `POST …/predict-batch` with fifty assets.

The champion is LightGBM with its refit on 20 variables (three windows, all aggregations). Both
servers are processes of their own, as they are started, with the model loaded before the first
measured request. Ours reads the window of readings from MongoDB, builds the features, scores and
explains; the peer gets the finished row of features and scores it alone. The fifty clients all ask
about one asset, of which equal questions that wait have one answer, and then each about another. A
measurement ends after so many answers or so many seconds, whatever comes first: all of it takes
less than four minutes on two busy cores. `ALERTING_BENCH_PEERS=none` leaves the peer out.
"""

import itertools
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil

from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.definitions.asset_documents import Asset, Variable
from alerting.learning.data.dataset import dataset_from_files
from alerting.local.prepare import load_or_create
from alerting.ports import Platform, ReadingRow
from alerting.settings.environment import read_settings
from alerting.settings.machine import free_port
from alerting.usecases.definitions.revisions_and_evaluation_plan import apply
from alerting.usecases.ingestion.arrived_rows import add_readings
from alerting.usecases.training.training_steps import train
from alerting.wiring import open_platform, prepare_database
from benchmarks.helpers.clients import Question, ask_together
from benchmarks.helpers.servers import started_server

NAME = "served"
CLIENTS = 50
TOGETHER_NAME = f"{CLIENTS} clients"
EACH = f"{TOGETHER_NAME}, an asset each"
ASSETS = tuple(f"line-{number}" for number in range(1, CLIENTS + 1))
ASSET = ASSETS[0]
"""The one that the champion has learned from; the others have the readings that one score needs."""
VARIABLES = 20
DAYS = 5
RECENT = 180
"""Minutes of readings of the other assets."""
TOKEN = "viewer-of-the-benchmark-0123"  # noqa: S105 - of a server that lives for a minute
ALONE = 500
TOGETHER = 1000
BATCHES = 20
LONGEST_S = 30.0
GOAL_ALONE_MS = 20.0
GOAL_TOGETHER_MS = 250.0
GOAL_A_SECOND = 200.0


def run() -> dict[str, Any]:
    """Return milliseconds (p50, p99) of both servers at one client and at fifty."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", free_port()) as mongod,
    ):
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        load_or_create(home / "secrets")
        environ = {
            **os.environ,
            "ALERTING_HOME": str(home),
            "ALERTING_MONGODB_URI": mongod.uri,
            "OMP_NUM_THREADS": "1",
        }
        settings = read_settings(environ)
        prepare_database(settings)
        with open_platform(settings, channels=False) as platform:
            rows = _train(platform)
        ours = _ours(environ, home)
        print(json.dumps(ours), file=sys.stderr, flush=True)
        tracked = {**environ, "MLFLOW_TRACKING_URI": settings.mlflow_database}
        peer = _peer(tracked, rows) if os.environ.get("ALERTING_BENCH_PEERS") != "none" else None
    figure = ours["1 client"]["p99_ms"]
    each = ours[EACH]
    beside = peer["1 client"]["p99_ms"] if peer else None
    return {
        "benchmark": "serve",
        "figure": figure,
        "unit": (
            f"ms, p99 of {ours['1 client']['answers']} predictions of one asset with {VARIABLES} "
            "variables, one client"
        ),
        "peer": (
            "mlflow models serve of the same model, on the finished row of features, without an "
            "explanation"
        ),
        "peer_figure": beside,
        "ratio": beside and round(beside / figure, 3),
        "goal": (
            f"< {GOAL_ALONE_MS:g} ms; {CLIENTS} clients with an asset each: {GOAL_A_SECOND:g} "
            f"answers a second, p99 < {GOAL_TOGETHER_MS:g} ms"
        ),
        "met": figure < GOAL_ALONE_MS
        and each["p99_ms"] < GOAL_TOGETHER_MS
        and each["per_second"] >= GOAL_A_SECOND,
        "predict": ours,
        "mlflow": peer,
    }


def _train(platform: Platform) -> Any:
    """Train the champion; return a row of its features as MLflow takes it."""
    names = [f"v{number}" for number in range(VARIABLES)]
    platform.assets.store_assets(
        [Asset(name=name, variables={name: Variable() for name in names}) for name in ASSETS]
    )
    random = np.random.default_rng(1)
    minutes = np.arange(0, DAYS * 24 * 60)
    values = random.normal(50, 5, (len(minutes), VARIABLES)).cumsum(axis=0) * 0.001 + random.normal(
        50, 1, (len(minutes), VARIABLES)
    )
    values[:, 1] += 20 * ((minutes + 30) % 240 < 30)
    values[:, 0] = 50 + 20 * (minutes % 240 < 30) + random.normal(0, 1, len(minutes))
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    begin = now - timedelta(days=DAYS)
    rows = [
        ReadingRow(
            asset,
            begin + timedelta(minutes=int(minute)),
            dict(zip(names, row.tolist(), strict=True)),
        )
        for number, asset in enumerate(ASSETS)
        for minute, row in zip(minutes, values + number * 0.01, strict=True)
        if number == 0 or minute >= minutes[-1] - RECENT
    ]
    add_readings(platform, rows, now)
    document = {
        "name": NAME,
        "kind": "classifier",
        "assets": ["line-*"],
        "problem": {"variable": "v0", "above": 60},
        "horizon": "30m",
    }
    features = {"stride": "1m", "windows": ["5m", "15m", "1h"]}
    learning = {"trials": 1, "folds": 2, "candidates": ["lightgbm"]}
    apply(
        platform,
        [document | {"features": features, "learning": learning}],
        "benchmark",
        begin,
        "benchmark",
    )
    result = train(platform, NAME, now - timedelta(hours=6))
    return dataset_from_files(platform.runs.files(result.run_id, "dataset")).rows.iloc[-1:]


def _ours(environ: Mapping[str, str], home: Path) -> dict[str, Any]:
    tokens = home / "tokens.json"
    tokens.write_text(json.dumps({TOKEN: {"name": "bench", "role": "viewer"}}), encoding="utf-8")
    tokens.chmod(0o600)
    port = free_port()
    own = {"ALERTING_API_TOKENS_FILE": str(tokens), "ALERTING_API_PORT": str(port)}
    health = f"http://127.0.0.1:{port}/api/v1/health"
    with started_server(
        [sys.executable, "-m", "alerting.console.serve"], {**environ, **own}, health
    ) as server:
        path = f"http://127.0.0.1:{port}/api/v1/definitions/{NAME}/predict"
        headers = {"authorization": f"Bearer {TOKEN}"}
        found = _measure(server, path, [{"asset": ASSET}], headers, "score")
        each = _measure(server, path, [{"asset": name} for name in ASSETS], headers, "score")
        found[EACH] = each[TOGETHER_NAME]
        found[f"{len(ASSETS)} assets in a call"] = _batches(f"{path}-batch", headers)
        return found


def _batches(path: str, headers: Mapping[str, str]) -> dict[str, float]:
    """Return the times of calls about all assets, one after another."""
    times = []
    with httpx.Client(headers=dict(headers), trust_env=False, timeout=300) as client:
        for _ in range(BATCHES):
            begin = time.perf_counter()
            answer = client.post(path, json={"assets": list(ASSETS)})
            times.append(1000 * (time.perf_counter() - begin))
            found = answer.json()["answers"]
            assert all(one["prediction"]["score"] is not None for one in found), answer.text
    rate = len(ASSETS) * 1000 / float(np.mean(times))
    return {**_percentiles(times), "per_second": round(rate, 1)}


def _peer(environ: Mapping[str, str], rows: Any) -> dict[str, Any]:
    port = free_port()
    programs = Path(sys.executable).parent
    # MLflow starts uvicorn by its name
    environ = {**environ, "PATH": f"{programs}:{environ['PATH']}"}
    command = [str(programs / "mlflow"), "models", "serve", "-m", f"models:/{NAME}@champion"]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    body = json.loads(rows.to_json(orient="split", index=False))
    with started_server(command, environ, f"http://127.0.0.1:{port}/health") as server:
        return _measure(
            server,
            f"http://127.0.0.1:{port}/invocations",
            [{"dataframe_split": body}],
            {},
            "predictions",
        )


def _measure(
    server: psutil.Process,
    path: str,
    bodies: Sequence[Any],
    headers: Mapping[str, str],
    field: str,
) -> dict[str, Any]:
    """Return the time to load the model, times of answers at one client and at fifty, who ask each
    question in turn, and CPU of the server."""
    with httpx.Client(headers=dict(headers), trust_env=False, timeout=300) as client:
        asked = itertools.cycle(bodies)

        def ask(until: float = math.inf) -> float:
            """Return the milliseconds of an answer; NaN if the time of the measurement is over."""
            begin = time.perf_counter()
            if begin > until:
                return math.nan
            answer = client.post(path, json=next(asked))
            took = 1000 * (time.perf_counter() - begin)
            assert answer.is_success, answer.text
            assert answer.json()[field] is not None, answer.text
            return took

        first = ask()
        for _ in range(20):
            ask()
        before = _cpu_ms(server)
        until = time.perf_counter() + LONGEST_S
        alone = _percentiles([ask(until) for _ in range(ALONE)])
        cpu = (_cpu_ms(server) - before) / alone["answers"]
    before = _cpu_ms(server)
    times, took = ask_together(Question(path, headers, bodies, field, TOGETHER, LONGEST_S), CLIENTS)
    together = _percentiles(times)
    return {
        "first_ms": round(first, 1),
        "1 client": {**alone, "cpu_ms": round(cpu, 1)},
        TOGETHER_NAME: {
            **together,
            "cpu_ms": round((_cpu_ms(server) - before) / len(times), 1),
            "per_second": round(len(times) / took, 1),
        },
    }


def _cpu_ms(server: psutil.Process) -> float:
    """Return the CPU time of a server and its children."""
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return 1000 * sum(spent.user + spent.system for spent in times)


def _percentiles(times: list[float]) -> dict[str, float]:
    answered = [ms for ms in times if not math.isnan(ms)]
    return {
        f"p{level}_ms": round(float(np.percentile(answered, level)), 1) for level in (50, 99)
    } | {"answers": len(answered)}
