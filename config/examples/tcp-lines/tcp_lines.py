"""Kinds of source and sink that a package of its own adds: rows from a gateway over TCP, and
alarms to it. See docs/extending.md."""

from typing import Literal

from pydantic import Field

from alerting.definitions.routes_and_sinks import SinkFields
from alerting.definitions.source_fields import StreamedSource


class LinesSource(StreamedSource):
    """Rows of a gateway, as numbered lines of JSON."""

    client = "tcp_lines_client:Reader"
    kind: Literal["tcp_lines"]


class LinesSink(SinkFields):
    """Alarms and values to a gateway, as lines of JSON."""

    client = "tcp_lines_client:Writer"
    kind: Literal["tcp_lines"]
    wait_s: float = Field(10, gt=0, le=60, description="How long an answer is waited for.")
