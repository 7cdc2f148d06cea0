"""The only module that chooses adapters: database, registry, clock and channels."""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from alerting.definitions.alert_definition import state_parts
from alerting.definitions.faults import UserError
from alerting.ports import Channel, Links, Platform, SandboxPorts, TrainingLimits
from alerting.settings.environment import LINK_KEY, MODEL_KEY, Settings, variable
from alerting.settings.home_folder import home_errors, require_embedded
from alerting.settings.machine import read_memory, read_time

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from alerting.adapters.mlflow.mlflow_registry import MlflowModels
    from alerting.adapters.mongo.mongo import MongoStores
    from alerting.adapters.receivers.egress import Egress
    from alerting.adapters.receivers.sinks import Surroundings
    from alerting.adapters.scored_files import PredictFolder
    from alerting.stores.database.documents import MongoDatabase
    from alerting.usecases.sink_delivery import OpenSink
    from alerting.usecases.sources.poll import Readers

HEALTH_TIMEOUT_S = 1.0
LINKS_LAST = timedelta(hours=24)
MLFLOW_USER = "alerting"
MLFLOW_PASSWORD = "mlflow_password"  # noqa: S105 - the name of a key


@contextmanager
def open_platform(
    settings: Settings, *, channels: bool = True, patient: bool = True, service: bool = False
) -> Iterator[Platform]:
    """Yield the platform for the use cases: with the named or running servers, or with an embedded
    database.

    Without `channels` the platform delivers no notification. If not `patient`, an operation fails
    after three seconds without a primary, also while a new one is elected. A `service` is refused
    at once without the key of links, a command when it needs it. Raises UserError if a server
    cannot be reached, or a key is missing or that of another platform.
    """
    with open_stores(settings, patient=patient) as stores:
        if service:
            _link_key(settings, stores.database)
        yield assemble(settings, stores, channels=channels)


@contextmanager
def open_stores(settings: Settings, *, patient: bool = True) -> "Iterator[MongoStores]":
    """Yield the stores alone, for callers that need more of the database than the use cases do.

    The database of a home on which no `alerting up` runs belongs to this process: if another
    version prepared it, it is prepared here. Raises NotPrepared for every other database that this
    version has not prepared.
    """
    from alerting.adapters.mongo import mongo
    from alerting.adapters.mongo.running import running

    timeout = None if patient else mongo.TIMEOUT_S
    prepare = settings.mongodb_uri is None and running(settings.home) is None
    with (
        _database(settings) as uri,
        mongo.open_stores(
            uri,
            settings.database,
            timeout,
            prepare,
            state_parts(settings.evaluation_slots),
            settings.timezone,
        ) as stores,
    ):
        yield stores


def prepare_database(settings: Settings, *, new_keys: bool = False) -> None:
    """Create collections, validators and indexes of the database. Idempotent. Raises UserError if
    it cannot be reached, or has hashes of other keys; not with `new_keys`, which replace them."""
    from alerting.adapters.mongo import mongo, prepare

    with _database(settings) as uri, mongo.open_database(uri, settings.database) as database:
        mongo.check_server(database)
        prepare.prepare_database(database, settings.timezone)
        if new_keys:
            prepare.forget_keys(database)
        if settings.link_key_path.exists():
            _link_key(settings, database)
        if settings.model_key_path.exists():
            _model_key(settings, database)


def check_keys(settings: Settings) -> None:
    """Check that this process has the keys that the other hosts of its database use. Raises
    UserError if not, or if the database cannot be used."""
    with open_stores(settings) as stores:
        _link_key(settings, stores.database)
        _model_key(settings, stores.database)


def known_keys(settings: Settings) -> set[str]:
    """Return the names of the keys that hosts of a named database use already; none of the embedded
    one. Raises UserError if it cannot be reached."""
    from alerting.adapters.mongo import mongo, prepare

    if settings.mongodb_uri is None:
        return set()
    with mongo.open_database(settings.mongodb_uri, settings.database) as database:
        return prepare.known_keys(database)


def _link_key(settings: Settings, database: "MongoDatabase") -> bytes:
    named = f"{variable('link_key_file')} {settings.link_key_path}"
    return _checked(settings, database, LINK_KEY, settings.read_link_key(), named)


def _model_key(settings: Settings, database: "MongoDatabase") -> bytes:
    named = f"{variable('model_key_file')} {settings.model_key_path}"
    return _checked(settings, database, MODEL_KEY, settings.read_model_key(), named)


def _checked(
    settings: Settings, database: "MongoDatabase", name: str, key: bytes, named: str
) -> bytes:
    """Return a key; on named servers only if the other hosts use the same. Raises UserError."""
    from alerting.adapters.mongo.prepare import check_key

    if settings.mongodb_uri is not None and key:
        check_key(database, name, key, named)
    return key


def database_warning(settings: Settings) -> str | None:
    """Return what a setting of the user's own database server, or its address, costs; None if all
    is well, and for the embedded server.

    Raises UserError if the server cannot be reached, or cannot run transactions.
    """
    from alerting.adapters.mongo import mongo

    if settings.mongodb_uri is None:
        return None
    with mongo.open_database(settings.mongodb_uri, settings.database) as database:
        mongo.check_server(database)
        client = database.client
        warnings = (
            mongo.lifetime_warning(client),
            mongo.members_warning(settings.mongodb_uri, client),
        )
        return " ".join(warning for warning in warnings if warning) or None


def assemble(settings: Settings, stores: "MongoStores", *, channels: bool = True) -> Platform:
    """Return a platform of these stores."""
    from alerting.adapters.mlflow.file_cache import FolderFileCache
    from alerting.adapters.mongo.mongo import MongoClock, list_disks, read_database

    delivers = _channels(settings) if channels else {}
    clock = MongoClock(stores.database)
    return replace(
        stores.platform(models(settings), delivers, clock, _in_memory),
        line_speed=clock.line_speed,
        links=_links(settings, stores.database) if channels else None,
        model_key=_model_key(settings, stores.database),
        model_file_cache=FolderFileCache(settings.home / "cache" / "models"),
        limits=TrainingLimits(settings.max_training_rows, read_memory(), read_time),
        budget=settings.budget,
        zone=settings.timezone,
        language=settings.language,
        retention=settings.retention,
        latency=settings.latency,
        health_limits=settings.health_limits,
        clock_difference=clock.difference,
        disks=lambda: list_disks(settings.home, stores.database),
        database=lambda: read_database(stores.database),
    )


def _in_memory(*, backfilled: bool = False) -> SandboxPorts:
    from alerting.adapters.memory.platform import memory_platform

    return memory_platform(backfilled=backfilled)


def source_readers(
    settings: Settings,
    environ: Mapping[str, str] = os.environ,
    connection: Callable[[str], str] | None = None,
) -> "Readers":
    """Return the readers of sources. `connection`: finds a connection of Airflow by its id; None
    outside of a DAG."""
    from alerting.adapters.mongo.mongo import is_outage
    from alerting.adapters.sources.addresses_and_secrets import allowed_secrets
    from alerting.adapters.sources.brokers import look_at
    from alerting.adapters.sources.file_drops import SourceFiles
    from alerting.adapters.sources.sql import SqlReader
    from alerting.usecases.sources.poll import Readers

    plant = plant_zone(settings, environ)
    resolve = allowed_secrets(environ, settings.secret_rules, connection)
    return Readers(
        SourceFiles(resolve, plant),
        SqlReader(resolve, plant_zone=plant),
        lambda kind, source, seconds: look_at(kind, source, resolve(source.url), seconds),
        is_outage,
    )


def sink_surroundings(
    settings: Settings, environ: Mapping[str, str] = os.environ
) -> "Surroundings":
    """Return the parts of this process that the receivers of sinks need."""
    from alerting.adapters.receivers.egress import Egress
    from alerting.adapters.receivers.sinks import Surroundings
    from alerting.adapters.sources.addresses_and_secrets import allowed_secrets

    return Surroundings(
        allowed_secrets(environ, settings.secret_rules),
        Egress(settings.delivery.egress_allow),
    )


def sink_opener(settings: Settings, environ: Mapping[str, str] = os.environ) -> "OpenSink":
    """Return a function that connects to the receivers of sinks."""
    from alerting.adapters.receivers.sinks import open_receiver

    return partial(open_receiver, surroundings=sink_surroundings(settings, environ))


def predict_files(settings: Settings) -> "PredictFolder":
    """Return the predict jobs in the home, which the API and Airflow's workers share."""
    from alerting.adapters.scored_files import PredictFolder

    return PredictFolder(settings.home / "predictions")


def plant_zone(settings: Settings, environ: Mapping[str, str]) -> str | None:
    """Return the time zone of the plant, for stamps that name no zone; None if none is set."""
    return settings.timezone.key if environ.get(variable("timezone"), "").strip() else None


def _database(settings: Settings) -> "AbstractContextManager[str]":
    if settings.mongodb_uri is not None:
        return nullcontext(settings.mongodb_uri)
    require_embedded(settings.home)
    from alerting.adapters.mongo.shared_mongod import shared_mongod

    return shared_mongod(settings.home)


def models(settings: Settings) -> "MlflowModels":
    """Return the registry: the named one, else that of this home.

    The registry of this home works through its server if that answers, and without it otherwise;
    runs and models are the same.
    """
    from alerting.adapters.mlflow.mlflow_registry import MlflowModels

    if settings.mlflow_uri is not None:
        return MlflowModels(settings.mlflow_uri)
    with home_errors(settings.home):
        settings.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
    server = running_mlflow(settings)
    if server is not None:
        os.environ.update(mlflow_sign_in(settings))
    return MlflowModels(server or settings.mlflow_database, settings.mlflow_artifacts)


def mlflow_sign_in(settings: Settings) -> dict[str, str]:
    """Return the variables with which MLflow's client signs in at the server of this home; empty if
    it has no password."""
    try:
        password = (settings.home / "secrets" / MLFLOW_PASSWORD).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return {}
    return {"MLFLOW_TRACKING_USERNAME": MLFLOW_USER, "MLFLOW_TRACKING_PASSWORD": password}


def running_mlflow(settings: Settings) -> str | None:
    """Return the address of the MLflow server that `alerting up` runs on this home; None if it does
    not answer."""
    from alerting.adapters.mongo.running import running

    up = running(settings.home)
    if up is None:
        return None
    import httpx

    try:
        answer = httpx.get(f"{up.mlflow_uri}/health", timeout=HEALTH_TIMEOUT_S, trust_env=False)
    except httpx.HTTPError:
        return None
    return up.mlflow_uri if answer.is_success else None


def _channels(settings: Settings) -> dict[str, Channel]:
    """Return the log, which needs no server, and one channel per configured address.

    Raises UserError if a channel is not configured correctly.
    """
    from alerting.adapters.receivers.log import LogChannel, append_to

    channels: dict[str, Channel] = {"log": LogChannel(append_to(settings.notification_file))}
    for kind, channel in _outgoing(settings):
        if channel.name in channels:
            raise UserError(
                f"{variable(f'{kind}_{channel.name}')}: the name {channel.name!r} is already in "
                "use, choose another one"
            )
        channels[channel.name] = channel
    return channels


def _outgoing(settings: Settings) -> Iterator[tuple[str, Channel]]:
    """Yield every channel that leaves this machine, all through one egress rule."""
    from alerting.adapters.receivers.egress import Egress

    delivery = settings.delivery
    egress = Egress(delivery.egress_allow)
    if settings.webhook_urls or delivery.has_chats:
        yield from _http_channels(settings, egress)
    if delivery.smtp is not None:
        from alerting.adapters.receivers.email import EmailChannel

        password = delivery.smtp.read_password()
        yield from (
            ("email", EmailChannel(name, address, delivery.smtp, egress, password=password))
            for name, address in delivery.emails.items()
        )


def _http_channels(settings: Settings, egress: "Egress") -> Iterator[tuple[str, Channel]]:
    """Yield webhooks and chats; apart from the others, because the client of HTTP loads slowly."""
    from alerting.adapters.receivers.http_channels import (
        NtfyChannel,
        SlackChannel,
        TeamsChannel,
        WebhookChannel,
    )

    delivery = settings.delivery
    channels: dict[str, list[Channel]] = {
        "webhook": [
            WebhookChannel(name, url, settings.webhook_secrets.get(name), egress=egress)
            for name, url in settings.webhook_urls.items()
        ],
        "slack": [SlackChannel(name, url, egress) for name, url in delivery.slack_urls.items()],
        "teams": [TeamsChannel(name, url, egress) for name, url in delivery.teams_urls.items()],
        "ntfy": [
            NtfyChannel(name, url, delivery.ntfy_tokens.get(name), egress)
            for name, url in delivery.ntfy_urls.items()
        ],
    }
    for kind, made in channels.items():
        yield from ((kind, channel) for channel in made)


def console_address(settings: Settings) -> str:
    """Return the address of the console for people: the address that messages name, else the one on
    this machine."""
    return f"{(settings.delivery.public_url or settings.api_address).rstrip('/')}/"


def _links(settings: Settings, database: "MongoDatabase") -> Links:
    from alerting.adapters.passwords_and_links import SignedLinks

    delivery = settings.delivery
    key = cache(partial(_link_key, settings, database))
    return SignedLinks(key, delivery.public_url or settings.api_address, LINKS_LAST)
