"""The kinds of documents that share one life, by the word for one of them."""

from typing import Any

from alerting.ports import UpkeepPorts
from alerting.usecases.alarm_load.changes import DEFINITIONS
from alerting.usecases.documents import DocumentKind
from alerting.usecases.ingestion.assets import ASSETS
from alerting.usecases.notification.routes import ROUTES
from alerting.usecases.sinks import SINKS
from alerting.usecases.sources.status import SOURCES

KINDS: dict[str, DocumentKind[UpkeepPorts, Any]] = {
    "definition": DEFINITIONS,
    "source": SOURCES,
    "sink": SINKS,
    "route": ROUTES,
    "asset": ASSETS,
}
