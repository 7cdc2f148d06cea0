"""Pages of the console with 100,000 episodes, each against the plain query of its documents.

The application runs in this process, signed in, on a real embedded server; the slowest page counts.
2,000 definitions, 11,900 targets on 100 assets, 100 episodes open, a year of monthly reports for 20
definitions.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from alerting.adapters.mongo.embedded_mongod import EmbeddedMongod
from alerting.adapters.mongo.mongo import MongoStores, connect
from alerting.adapters.mongo.prepare import prepare_database
from alerting.console.api.views import cursor_of
from alerting.console.app import create_app
from alerting.definitions.asset_documents import Asset, Variable
from alerting.definitions.revisions import next_revision
from alerting.detection.evaluation_results_and_texts import Evaluation
from alerting.episodes.episode import (
    Change,
    Contribution,
    Episode,
    RecommendationResult,
    Transition,
    episode_id,
)
from alerting.kinds.registry import parse_definition
from alerting.operators.actions_and_mutes import Role
from alerting.ports import ReportContent, ReportHead
from alerting.settings.environment import Settings
from alerting.settings.machine import free_port
from alerting.stores.database.documents import EPISODES, REPORTS, Document, to_document
from alerting.wiring import assemble
from benchmarks.helpers.timing import medians

EPISODES_MADE = 100_000
OPEN = 100
DEFINITIONS = 2_000
ASSETS = 100
EVERYWHERE = 20  # one definition in so many watches all assets, the others one: 11,900 targets
REPORTED = 20
MONTHS = 12
BATCH = 5_000
FIRST = datetime(2026, 1, 5, tzinfo=UTC)
NOW = FIRST + timedelta(minutes=EPISODES_MADE)
SIGN_IN: dict[str, tuple[str, Role]] = {"engineer-of-the-benchmark": ("ada", "admin")}
ROUNDS = 15
GOAL_MS = 200
SENTENCE = "Trust it: 7 of 9 problems announced in time."


class StandingClock:
    """Fixed clock at the simulated present of the benchmark."""

    def now(self) -> datetime:
        """Return an instant just after the last episode."""
        return NOW


def run() -> dict[str, Any]:
    """Return milliseconds of the slowest page, as the median of fifteen requests after one to warm
    up."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedMongod(Path(folder) / "db", free_port()) as server,
    ):
        client = connect(server.uri)
        stores = MongoStores(client["console"])
        prepare_database(stores.database)
        fill(stores)
        settings = Settings(Path(folder), mongodb_uri=server.uri)
        app = create_app(
            replace(assemble(settings, stores, channels=False), clock=StandingClock()), SIGN_IN
        )
        browser = TestClient(app)
        browser.post("/login", data={"token": next(iter(SIGN_IN))})
        pages = {name: _measured(browser, path, bare) for name, path, bare in _pages(stores)}
        client.close()
    slowest = max(pages, key=lambda name: pages[name]["page_ms"])
    figure = pages[slowest]["page_ms"]
    peer = pages[slowest]["query_ms"]
    return {
        "benchmark": "console",
        "figure": figure,
        "unit": f"ms for the slowest page ({slowest}) with {EPISODES_MADE} episodes",
        "peer": "the bare query of the documents that the page shows",
        "peer_figure": peer,
        "ratio": round(peer / figure, 3),
        "goal": f"< {GOAL_MS} ms",
        "met": figure < GOAL_MS,
        "pages": pages,
    }


def _pages(stores: MongoStores) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Return name and path of each page, and the query of its documents."""
    episodes = stores.database[EPISODES]
    newest = [("raised_at", -1), ("_id", -1)]
    reports = stores.database[REPORTS]
    latest = [("start", -1), ("_id", -1)]
    middle, oldest = (
        stores.episodes.find(end=FIRST + timedelta(minutes=m), limit=1)[0]
        for m in (EPISODES_MADE / 2, 60)
    )
    model, threshold = (stores.episodes.find(definition=f"alert-{i}", limit=1)[0] for i in (0, 1))

    def before(at: datetime) -> list[Any]:
        return [*episodes.find({"raised_at": {"$lte": at}}).sort(newest).limit(51)]

    yield (
        "episodes",
        "/",
        lambda: (before(NOW), [*episodes.find({"condition": "open"}).sort(newest).limit(OPEN)]),
    )
    for name, last in (("older episodes", middle), ("oldest episodes", oldest)):
        yield name, f"/?cursor={cursor_of(last.raised_at, last)}", partial(before, last.raised_at)
    yield (
        "episode with advice",
        f"/episodes/{model.id}",
        lambda: episodes.find_one({"_id": model.id}),
    )
    yield "episode", f"/episodes/{threshold.id}", lambda: episodes.find_one({"_id": threshold.id})
    yield (
        "reports",
        "/reports",
        lambda: [*reports.find({}, {"page": False, "content": False}).sort(latest).limit(101)],
    )


def _measured(browser: TestClient, path: str, bare: Callable[[], Any]) -> dict[str, float]:
    answers: list[Any] = []
    page = medians("page", lambda: answers.append(browser.get(path)), ROUNDS)
    assert {answer.status_code for answer in answers} == {200}
    return {
        **page,
        **medians("query", bare, ROUNDS),
        "kB": round(len(answers[0].content) / 1000, 1),
    }


def fill(stores: MongoStores, first: datetime = FIRST) -> None:
    """Store assets, definitions, episodes and reports. `first`: raise of the first
    episode, a minute before the next one."""
    known = {f"v{i}": Variable(title=f"zone {i} temperature", unit="°C") for i in range(10)}
    stores.assets.store_assets([Asset(name=f"oven-{i}", variables=known) for i in range(ASSETS)])
    for i in range(DEFINITIONS):
        document = {
            "name": f"alert-{i}",
            "kind": "threshold",
            "assets": ["oven-*" if i % EVERYWHERE == 0 else f"oven-{i % ASSETS}"],
            "variable": "v1",
            "above": 215,
        }
        stores.definitions.store_document(document)
        stores.definitions.add_revision(
            next_revision(parse_definition(document), None, "benchmark", FIRST, "made up")
        )
    for start in range(0, EPISODES_MADE, BATCH):
        stores.database[EPISODES].insert_many(
            [episode_document(n, first) for n in range(start, start + BATCH)], ordered=False
        )
    _report(stores)


def episode_document(number: int, first: datetime) -> Document:
    """Return the document of an episode: every second one has a model's reasons and advice; the
    last hundred are open."""
    raised = first + timedelta(minutes=number)
    asset = f"oven-{number % ASSETS}"
    is_open = number >= EPISODES_MADE - OPEN
    definition = f"alert-{number % DEFINITIONS}"
    episode = Episode(
        id=episode_id(definition, asset, raised),
        definition=definition,
        revision=1,
        kind="threshold" if number % 2 else "classifier",
        asset=asset,
        title="Biscuits too moist within 30 minutes",
        severity=("low", "medium", "high", "critical")[number % 4],
        raised_at=raised,
        detected_at=raised,
        condition="open" if is_open else "closed",
        closed_at=None if is_open else raised + timedelta(minutes=5),
        evaluation=Evaluation(raised, "triggered", "risk 0.82 is above 0.41", 0.82, 0.41),
        transitions=tuple(
            Transition(kind, raised, "platform", "the condition is met")
            for kind in ("raised", "closed")
        ),
        **({} if number % 2 else _reasons()),
    )
    document = to_document(episode)
    return {**document, "_id": document.pop("id")} | (
        {"open_key": f"{definition}|{asset}"} if is_open else {}
    )


def _reasons() -> dict[str, Any]:
    message = "zone 2 temperature, 12 °C above its usual, raises the risk by 31 points"
    shares = tuple(Contribution(f"v{i}", 0.31 / (i + 1), 232.0, 220.0, message) for i in range(10))
    advice = "lower zone 2 from 232 to 224 °C: the risk falls from 82 % to 19 %"
    return {
        "contributions": shares,
        "recommendation": RecommendationResult(
            (Change("v2", 232.0, 224.0, "°C"),), 0.82, 0.19, True, advice
        ),
    }


def _report(stores: MongoStores) -> None:
    metrics = {"judgement": {"trust": "yes", "sentence": SENTENCE}, "more": ["figure"] * 500}
    for number in range(REPORTED):
        for month in range(MONTHS):
            start = FIRST + timedelta(days=30 * month)
            end = start + timedelta(days=30)
            name = f"alert-{number}"
            head = ReportHead(
                f"{name}:{start:%Y-%m}",
                name,
                start,
                end,
                NOW,
                f"{start:%Y-%m}",
                trust="yes",
                sentences=(SENTENCE,),
            )
            stores.reports.add(head, ReportContent(metrics, "<p>page</p>" * 10_000))
