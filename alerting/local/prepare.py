"""A home without a running platform: what `alerting prepare` makes, and `alerting up` before it starts anything."""

from alerting.local.secrets import Secrets, load_or_create
from alerting.settings.environment import Settings
from alerting.settings.home import create_home, home_errors
from alerting.wiring import open_stores


def prepare_home(settings: Settings) -> Secrets:
    """Make the home, or bring it up to date, with the secrets that are missing. Idempotent. Raises UserError."""
    create_home(settings.home, "embedded" if settings.mongodb_uri is None else "named")
    with home_errors(settings.home):
        return load_or_create(settings.home / "secrets")


def prepare(settings: Settings) -> None:
    """Make the home, and the collections and indexes in its database. Idempotent. Raises UserError."""
    prepare_home(settings)
    with open_stores(settings):
        pass
