"""The client: one method for each operation of the API. Made by `python -m tools.client`."""

from alerting.client.calls.assets import AssetsCalls
from alerting.client.calls.definitions import DefinitionsCalls
from alerting.client.calls.episodes import EpisodesCalls
from alerting.client.calls.kpi import KpiCalls
from alerting.client.calls.models import ModelsCalls
from alerting.client.calls.operators import OperatorsCalls
from alerting.client.calls.platform import PlatformCalls
from alerting.client.calls.predictions import PredictionsCalls
from alerting.client.calls.readings import ReadingsCalls
from alerting.client.calls.reports import ReportsCalls
from alerting.client.calls.shifts import ShiftsCalls
from alerting.client.calls.sinks import SinksCalls
from alerting.client.calls.sources import SourcesCalls
from alerting.client.calls.trends import TrendsCalls


class Client(
    AssetsCalls,
    DefinitionsCalls,
    EpisodesCalls,
    KpiCalls,
    ModelsCalls,
    OperatorsCalls,
    PlatformCalls,
    PredictionsCalls,
    ReadingsCalls,
    ReportsCalls,
    ShiftsCalls,
    SinksCalls,
    SourcesCalls,
    TrendsCalls,
):
    """Client of the API. Use it in `with`, or call `close` at the end."""
