"""Preparation of a home without a running platform, by `alerting prepare` and as the first step of `alerting up`."""

from alerting.local.secrets import Secrets, load_or_create
from alerting.settings.environment import Settings
from alerting.settings.home import create_home, home_errors
from alerting.wiring import open_stores


def prepare_home(settings: Settings) -> Secrets:
    """Create or update the home, and generate missing secrets. Idempotent. Raises UserError."""
    create_home(settings.home, "embedded" if settings.mongodb_uri is None else "named")
    with home_errors(settings.home):
        return load_or_create(settings.home / "secrets")


def prepare(settings: Settings) -> None:
    """Create the home, and the collections and indexes in its database. Idempotent. Raises UserError."""
    prepare_home(settings)
    with open_stores(settings):
        pass
