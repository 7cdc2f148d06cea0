"""The nodes that a client browses: the asset tree, and below each asset its present alarms."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from asyncua import ua
from asyncua.server.internal_server import InternalServer

from alerting.adapters.sinks.opcua_alarms.events import ALARM_TYPE, ConditionEvent
from alerting.definitions.assets import Asset
from alerting.definitions.plants import AssetTree

NAMESPACE = 2
PLANT = ua.NodeId("plant", NAMESPACE)
MOST_ASSETS = 5000
MOST_ALARM_NODES = 500
"""Alarms with a node of their own; events tell all of them."""
_SERVER = ua.NodeId(ua.ObjectIds.Server)
_NOTIFIES = ua.NodeId(ua.ObjectIds.HasNotifier)
_SHOWN = {
    "ActiveState": ua.ObjectIds.LocalizedText,
    "AckedState": ua.ObjectIds.LocalizedText,
    "Message": ua.ObjectIds.LocalizedText,
    "Severity": ua.ObjectIds.UInt16,
    "Comment": ua.ObjectIds.LocalizedText,
}


def asset_node(name: str) -> ua.NodeId:
    """Return the node of an asset."""
    return ua.NodeId(f"asset/{name}", NAMESPACE)


def alarm_node(definition: str, asset: str) -> ua.NodeId:
    """Return the node of the alarm of a target, which is the id of its condition."""
    return ua.NodeId(f"alarm/{definition}/{asset}", NAMESPACE)


def find_target(node: ua.NodeId) -> tuple[str, str] | None:
    """Return definition and asset of the node of an alarm; None for another node."""
    parts = _parts(node)
    if len(parts) != 3 or parts[0] != "alarm":
        return None
    return parts[1], parts[2]


def find_asset(node: ua.NodeId) -> str | None:
    """Return the asset that a node belongs to; None for what concerns none."""
    parts = _parts(node)
    if parts[0] == "asset" and len(parts) == 2:
        return parts[1]
    return parts[2] if parts[0] == "alarm" and len(parts) >= 3 else None


def _parts(node: ua.NodeId) -> list[str]:
    is_ours = node.NamespaceIndex == NAMESPACE and isinstance(node.Identifier, str)
    return node.Identifier.split("/") if is_ours else [""]


class PlantNodes:
    """The nodes of the plant, and the chain of nodes at which an event of an asset is told."""

    def __init__(self, server: InternalServer) -> None:
        self._server = server
        self._known: dict[str, tuple[str | None, str | None]] = {}
        self._parents: dict[str, str | None] = {}
        self._chains: dict[str, tuple[ua.NodeId, ...]] = {}
        self._alarms: dict[ua.NodeId, None] = {}

    def prepare(self, title: str) -> None:
        """Make the node of the plant."""
        objects = ua.NodeId(ua.ObjectIds.ObjectsFolder)
        self._add(PLANT, objects, ua.NodeId(ua.ObjectIds.Organizes), title, title, is_source=True)
        self._refer(_SERVER, _NOTIFIES, PLANT)

    def title(self, asset: str) -> str:
        """Return the name of an asset for people."""
        _, title = self._known.get(asset, (None, None))
        return title or asset

    def chain(self, asset: str) -> tuple[ua.NodeId, ...]:
        """Return the nodes at which events of an asset are told: the server, the plant, the assets
        above it, and its own."""
        return self._chains.get(asset, (_SERVER, PLANT))

    def tops(self, visible: Collection[str]) -> list[ua.ReferenceDescription]:
        """Return references to the visible assets whose parents are not."""
        top = {name for name in self._parents if name in visible}
        top -= {name for name in top if self._parents[name] in visible}
        parents = {self._node_of_parent(name) for name in top}
        nodes = {asset_node(name) for name in top}
        return [
            one
            for parent in parents
            for one in self._server.aspace[parent].references
            if one.IsForward and one.NodeId in nodes and one.ReferenceTypeId == _NOTIFIES
        ]

    def show_assets(self, assets: Sequence[Asset]) -> bool:
        """Make the nodes of assets anew if they have changed; return whether they have, which takes
        the nodes of alarms away."""
        shown = assets[:MOST_ASSETS]
        known = {one.name: (one.parent, one.title) for one in shown}
        if known == self._known:
            return False
        for node in [*self._alarms]:
            self.remove_alarm(node)
        for name in self._parents:
            self._delete(asset_node(name), self._node_of_parent(name))
        tree = AssetTree(shown)
        lines = {one.name: [a.name for a in tree.asset_and_ancestors(one)] for one in shown}
        self._known = known
        self._parents = {name: _parent(line, lines) for name, line in lines.items()}
        self._chains = {
            name: (_SERVER, PLANT, *(asset_node(one) for one in reversed(line)))
            for name, line in lines.items()
        }
        for name in sorted(lines, key=lambda name: (len(lines[name]), name)):
            node = self._node_of_parent(name)
            title = self.title(name)
            self._add(asset_node(name), node, _NOTIFIES, name, title, is_source=True)
        return True

    def _node_of_parent(self, name: str) -> ua.NodeId:
        parent = self._parents[name]
        return PLANT if parent is None else asset_node(parent)

    async def show_alarm(
        self, node: ua.NodeId, asset: str, title: str, event: ConditionEvent
    ) -> None:
        """Show an alarm below its asset, or remove its node if it is over."""
        if not event.values["Retain"].Value:
            self.remove_alarm(node)
            return
        if node not in self._alarms:
            if len(self._alarms) >= MOST_ALARM_NODES or asset not in self._parents:
                return
            self._alarms[node] = None
            self._add_alarm(node, asset, title)
        for name in _SHOWN:
            value = ua.DataValue(event.values[name], SourceTimestamp=datetime.now(UTC))
            await self._server.write_attribute_value(_child(node, name), value)

    def remove_alarm(self, node: ua.NodeId) -> None:
        """Remove the node of an alarm. Idempotent."""
        if node in self._alarms:
            del self._alarms[node]
            target = find_target(node)
            for name in _SHOWN:
                self._delete(_child(node, name), node)
            self._delete(node, asset_node(target[1] if target else ""))

    def _add_alarm(self, node: ua.NodeId, asset: str, title: str) -> None:
        target = find_target(node) or ("", "")
        component = ua.NodeId(ua.ObjectIds.HasComponent)
        self._add(node, asset_node(asset), component, target[0], title, type=ALARM_TYPE)
        self._refer(asset_node(asset), ua.NodeId(ua.ObjectIds.HasCondition), node)
        for name, type in _SHOWN.items():
            self._add_variable(_child(node, name), node, name, ua.NodeId(type))

    def _add(
        self,
        node: ua.NodeId,
        parent: ua.NodeId,
        reference: ua.NodeId,
        name: str,
        title: str,
        *,
        is_source: bool = False,
        type: ua.NodeId | None = None,
    ) -> None:
        attributes = ua.ObjectAttributes()
        attributes.DisplayName = ua.LocalizedText(title)
        attributes.EventNotifier = 1 if is_source else 0
        self._insert(
            node,
            parent,
            reference,
            name,
            ua.NodeClass.Object,
            type or ua.NodeId(ua.ObjectIds.BaseObjectType),
            attributes,
        )

    def _add_variable(self, node: ua.NodeId, parent: ua.NodeId, name: str, type: ua.NodeId) -> None:
        attributes = ua.VariableAttributes()
        attributes.DisplayName = ua.LocalizedText(name)
        attributes.DataType = type
        attributes.Value = ua.Variant(None)
        attributes.AccessLevel = ua.AccessLevel.CurrentRead.mask
        attributes.UserAccessLevel = ua.AccessLevel.CurrentRead.mask
        component = ua.NodeId(ua.ObjectIds.HasComponent)
        kind = ua.NodeId(ua.ObjectIds.BaseDataVariableType)
        self._insert(node, parent, component, name, ua.NodeClass.Variable, kind, attributes)

    def _insert(
        self,
        node: ua.NodeId,
        parent: ua.NodeId,
        reference: ua.NodeId,
        name: str,
        kind: ua.NodeClass,
        type: ua.NodeId,
        attributes: Any,
    ) -> None:
        item = ua.AddNodesItem()
        item.RequestedNewNodeId = node
        item.ParentNodeId = parent
        item.ReferenceTypeId = reference
        item.BrowseName = ua.QualifiedName(name, 0 if name in _SHOWN else NAMESPACE)
        item.NodeClass = kind
        item.TypeDefinition = type
        item.NodeAttributes = attributes
        for result in self._server.node_mgt_service.add_nodes([item]):
            result.StatusCode.check()

    def _refer(self, source: ua.NodeId, type: ua.NodeId, target: ua.NodeId) -> None:
        item = ua.AddReferencesItem()
        item.SourceNodeId = source
        item.ReferenceTypeId = type
        item.TargetNodeId = target
        item.TargetNodeClass = ua.NodeClass.Object
        item.IsForward = True
        self._server.node_mgt_service.add_references([item])

    def _delete(self, node: ua.NodeId, parent: ua.NodeId) -> None:
        """Remove a node and the references of its parent to it: asyncua would look for references
        in every node of the server."""
        above = self._server.aspace.get(parent)
        if above is not None:
            above.references[:] = [one for one in above.references if one.NodeId != node]
        if node in self._server.aspace:
            del self._server.aspace[node]


def _parent(line: Sequence[str], lines: Mapping[str, Sequence[str]]) -> str | None:
    """Return the parent in the tree of nodes; None in a circle of parents."""
    if len(line) < 2 or line[0] in lines[line[1]]:
        return None
    return line[1]


def _child(node: ua.NodeId, name: str) -> ua.NodeId:
    return ua.NodeId(f"{node.Identifier}/{name}", NAMESPACE)
