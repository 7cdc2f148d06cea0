"""Bodies and answers about assets. Made by `python -m tools.client`."""

from typing import Any, Literal, TypedDict

from alerting.client.shapes.shared import FaultView, FieldChange

AffectedView = TypedDict(
    "AffectedView",
    {
        "name": str,
        "title": str,
        "state": str,
        "variables": list[str],
        "applies": Literal["begins", "ends", "stays"],
        "faults": list[FaultView],
    },
)
"""A definition that a change of an asset concerns. `variables`: changed ones that it reads;
`applies`: if it begins or ends to watch the asset; `faults`: those that the change causes."""

AssetBody = TypedDict(
    "AssetBody",
    {},
)
"""A asset, as in its file: see the asset reference."""

AssetChangeView = TypedDict(
    "AssetChangeView",
    {
        "name": str,
        "action": Literal["new", "changed", "unchanged"],
        "faults": list[FaultView],
        "changes": list[FieldChange],
        "affected": list[AffectedView],
        "dropped": list[str],
    },
)
"""The effect of a document of an asset; a faulty one has faults alone. `dropped`: variables
that it declares no more."""

AssetDetail = TypedDict(
    "AssetDetail",
    {
        "name": str,
        "document": Any,
    },
)
"""An asset. `document`: as people write it, without fields at their default."""
