"""The one place that chooses adapters: which database, which registry, which clock, which channels."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from alerting.definitions.faults import Refused
from alerting.pipelines.ports import Channel, Platform
from alerting.settings import Settings, variable

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from alerting.stores.mlflow_registry import MlflowModels
    from alerting.stores.mongo import MongoStores

HEALTH_TIMEOUT_S = 1.0


@contextmanager
def open_platform(settings: Settings, *, channels: bool = True) -> Iterator[Platform]:
    """Everything a use case may touch: of the servers that are named or running, or of an embedded database of its own.

    Without `channels` nobody can be told anything. Raises Refused when a server cannot be reached.
    """
    with open_stores(settings) as stores:
        yield assemble(settings, stores, channels=channels)


@contextmanager
def open_stores(settings: Settings) -> "Iterator[MongoStores]":
    """The stores alone, for who needs more of the database than the use cases do."""
    from alerting.stores import mongo

    with _database(settings) as uri, mongo.open_stores(uri, settings.database) as stores:
        yield stores


def assemble(settings: Settings, stores: "MongoStores", *, channels: bool = True) -> Platform:
    """A platform of these stores."""
    from alerting.stores.clock import MongoClock

    return Platform(
        definitions=stores.definitions,
        assets=stores.assets,
        readings=stores.readings,
        episodes=stores.episodes,
        states=stores.states,
        feedback=stores.feedback,
        decisions=stores.decisions,
        models=models(settings),
        scores=stores.scores,
        replays=stores.replays,
        reports=stores.reports,
        audit=stores.audit,
        channels=_channels(settings) if channels else {},
        clock=MongoClock(stores.database),
    )


def _database(settings: Settings) -> "AbstractContextManager[str]":
    from alerting.stores.shared_mongod import shared_mongod

    return nullcontext(settings.mongodb_uri) if settings.mongodb_uri else shared_mongod(settings.home)


def models(settings: Settings) -> "MlflowModels":
    """The registry: the one that is named; else that of this home, through its server if that answers, or without; runs and
    models are the same either way.
    """
    from alerting.stores.mlflow_registry import MlflowModels

    if settings.mlflow_uri is not None:
        return MlflowModels(settings.mlflow_uri)
    settings.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
    return MlflowModels(running_mlflow(settings) or settings.mlflow_database, settings.mlflow_artifacts)


def running_mlflow(settings: Settings) -> str | None:
    """The address of the MLflow server that `alerting up` runs on this home, if it answers."""
    import httpx

    from alerting.stores.running import running

    up = running(settings.home)
    if up is None:
        return None
    try:
        answer = httpx.get(f"{up.mlflow_uri}/health", timeout=HEALTH_TIMEOUT_S, trust_env=False)
    except httpx.HTTPError:
        return None
    return up.mlflow_uri if answer.is_success else None


def _channels(settings: Settings) -> dict[str, Channel]:
    """The log, which always works and is kept in the home, and a webhook per address.

    Raises Refused for an address or secret that is none.
    """
    from alerting.channels.log import LogChannel
    from alerting.channels.webhook import WebhookChannel

    log = settings.home / "logs" / "notifications.log"

    def write(line: str) -> None:
        logging.getLogger("alerting.notifications").info("%s", line)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")

    channels: dict[str, Channel] = {"log": LogChannel(write)}
    for name, url in settings.webhook_urls.items():
        if name in channels:
            raise Refused(f"{variable(f'webhook_{name}')}: the name {name!r} is taken, choose another one")
        channels[name] = WebhookChannel(name, url, settings.webhook_secrets.get(name))
    return channels
