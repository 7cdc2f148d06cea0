"""Start the API and the console: python -m alerting.console.serve [--host H] [--port P]."""

import argparse
import gc
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from alerting.adapters.embedded.running import running
from alerting.console.access import read_tokens
from alerting.console.app import create_app
from alerting.console.imports.imports import Imports
from alerting.console.monitor import HealthMonitor
from alerting.console.people.directory_page import open_directory
from alerting.console.server import serve_app, server_options, tls_options
from alerting.console.web.prefix import prefix_of
from alerting.definitions.faults import UserError
from alerting.local.parts import airflow_uri, mlflow_uri
from alerting.settings.environment import LOOPBACK, Settings, read_settings, variable
from alerting.settings.logs import configure_logging
from alerting.usecases.access.people import register_services
from alerting.wiring import (
    open_platform,
    plant_zone,
    predict_files,
    sink_opener,
    source_readers,
)

TOKENS_FILE = variable("api_tokens_file")
_SWITCH_S = 0.001
"""After this time a long computation lets another answer go on, which waits several times for its
turn: after each answer of the database."""


def serve(
    host: str = LOOPBACK, port: int | None = None, environ: Mapping[str, str] = os.environ
) -> None:
    """Serve until a signal asks to stop. Raises UserError without a database or a tokens file
    readable only by its owner.

    `port`: `ALERTING_API_PORT` when left out.
    """
    settings = read_settings(environ)
    tokens = read_tokens(tokens_file(settings, environ))
    configure_logging(environ, tokens)
    public_url = settings.delivery.public_url
    tls = tls_options(settings.tls_cert, settings.tls_key)
    directory = None if settings.directory is None else open_directory(settings.directory)
    imports = Imports(settings.home / "imports", plant_zone(settings, environ))
    options = server_options(settings.trusted_proxies, prefix_of(public_url)) | tls
    with open_platform(settings, patient=False, service=True) as platform:
        register_services(platform, dict(tokens.values()), datetime.now(UTC))
        app = create_app(
            platform,
            tokens,
            zone=settings.timezone,
            language=settings.language,
            sign_in=settings.home / "secrets",
            public_url=public_url,
            predict_files=predict_files(settings),
            import_files=imports,
            directory=directory,
            source_readers=partial(source_readers, settings, environ),
            sink_opener=partial(sink_opener, settings, environ),
            airflow=airflow_pages(settings),
            mlflow=mlflow_pages(settings),
        )
        HealthMonitor(partial(open_platform, settings), tidy=imports.tidy).start()
        gc.freeze()  # what is loaded stays: answers do not wait until it has been searched
        sys.setswitchinterval(_SWITCH_S)
        serve_app(app, host, port or settings.api_port, options)


def airflow_pages(settings: Settings) -> str | None:
    """Return the address of Airflow's pages: in the settings, or of `alerting up` on this home."""
    if settings.airflow_uri is None and running(settings.home) is None:
        return None
    return settings.airflow_uri or airflow_uri(settings)


def mlflow_pages(settings: Settings) -> str | None:
    """Return the address of MLflow's pages: in the settings, or of `alerting up` on this home; None
    for a database."""
    if settings.mlflow_uri is None and running(settings.home) is None:
        return None
    address = mlflow_uri(settings)
    return address if address.startswith("http") else None


def tokens_file(settings: Settings, environ: Mapping[str, str]) -> Path:
    """Return the path in `ALERTING_API_TOKENS_FILE`, or that made by `alerting up`."""
    return Path(environ.get(TOKENS_FILE) or settings.home / "secrets" / "api_tokens.json")


def main() -> int:
    """Run the server from the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m alerting.console.serve", description="Serve the API and the console."
    )
    parser.add_argument(
        "--host", default=LOOPBACK, help="address to listen on (default: this machine only)"
    )
    parser.add_argument(
        "--port", type=int, help="port to listen on (default: ALERTING_API_PORT, or 8000)"
    )
    given = parser.parse_args()
    try:
        serve(given.host, given.port)
    except UserError as refusal:
        print(f"refused: {refusal}", file=sys.stderr)  # noqa: T201 - a message to the person who started it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
