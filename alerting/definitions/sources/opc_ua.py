"""Sources that subscribe nodes of an OPC UA server."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

from pydantic import Field

from alerting.definitions.assets import Closed, LongerThanZero, Name
from alerting.definitions.faults import Duration, Fault, shown
from alerting.definitions.sources.mapping import Secret, Text, Title
from alerting.definitions.sources.streamed import StreamedSource

_NODE = re.compile(r"(ns=[0-9]{1,5};)?(i=[0-9]{1,10}|[sgb]=.+)")


class OpcUaNode(Closed):
    """The value that a node holds."""

    variable: Title = Field(
        description="Title of the value, which `variables` may map as the title of a column."
    )
    asset: Name | None = Field(
        None, description="Asset of the value, where the source names none for all."
    )


class OpcUaSource(StreamedSource):
    """Values of nodes of an OPC UA server, which the stream service subscribes: `alerting
    stream`."""

    is_sent_once = True

    kind: Literal["opcua"]
    url: Secret = Field(
        description=(
            "Where the address of the server is found, e.g. "
            "opc.tcp://user:password@server:4840/path."
        )
    )
    quality: Title | None = Field(
        "quality",
        description=(
            "Field of a row with the quality of its values: that of the server, good, uncertain "
            "or bad."
        ),
    )
    nodes: dict[Text, OpcUaNode] = Field(
        max_length=10_000, description="Nodes by their identifier, e.g. ns=2;s=Oven1.Zone2."
    )
    interval: LongerThanZero = Field(
        timedelta(seconds=1),
        description="Interval at which the server samples the nodes; it sends values that changed.",
    )
    history: Duration = Field(
        timedelta(0),
        description=(
            "History that is read whenever a connection is opened, of nodes that have one: 8h, at "
            "most 31d."
        ),
    )
    security: Literal["none", "sign", "encrypt"] = Field(
        "none",
        description="sign or encrypt: the connection by Basic256Sha256, with certificate and key "
        "of `tls`; its `ca` is then the "
        "certificate of the server.",
    )

    def faults(self) -> Iterator[Fault]:
        """Yield the faults of several fields together."""
        if self.quality is None:
            yield Fault("quality", "is needed for the quality of values", "leave it out")
        if not self.nodes:
            yield Fault(
                "nodes",
                "names no node",
                "nodes: {ns=2;s=Oven1.Zone2: {variable: zone_2, asset: oven-1}}",
            )
        if unreadable := [node for node in self.nodes if not _NODE.fullmatch(node)]:
            yield Fault(
                "nodes",
                f"{shown(unreadable[0])} is no identifier of a node",
                "write for example ns=2;s=Oven1.Zone2",
            )
        without = [node for node, value in self.nodes.items() if value.asset is None]
        if self.asset is None and without:
            yield Fault(
                "nodes",
                f"{without[0]!r} names no asset",
                "asset: oven-1, of the node or of the source",
            )
        if self.asset is not None and len(without) < len(self.nodes):
            yield Fault(
                "asset", "is given for all nodes, and nodes name their own", "give one of both"
            )
        if self.delivers == "events":
            yield Fault("delivers", "values of nodes are no events", "delivers: readings")
        if self.history > timedelta(days=31):
            yield Fault("history", "is too long", "the longest is 31d")
        tls = self.tls
        if self.security != "none" and not (tls and tls.ca and tls.certificate and tls.key):
            yield Fault(
                "tls",
                "needs ca, certificate and key for an encrypted connection",
                "tls: {ca: …, certificate: …, key: …}",
            )
        if self.security == "none" and tls is not None:
            yield Fault("tls", "is not used by a connection without security", "security: encrypt")
        yield from super().faults()
