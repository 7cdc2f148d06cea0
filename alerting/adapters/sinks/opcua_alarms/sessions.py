"""What a client may ask for: to browse and read its part of the plant, to subscribe events, and to
answer alarms."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from asyncua import ua
from asyncua.common.utils import ServiceError

from alerting.adapters.sinks.opcua_alarms.events import ConditionFilter, check_filter
from alerting.adapters.sinks.opcua_alarms.guarded import GuardedSession
from alerting.adapters.sinks.opcua_alarms.nodes import PLANT, find_asset

if TYPE_CHECKING:
    from alerting.adapters.sinks.opcua_alarms.methods import Methods
    from alerting.adapters.sinks.opcua_alarms.nodes import PlantNodes

MOST_NAMED = 1000
"""Nodes, items or calls of one request."""
MOST_OF_A_SESSION = 5
"""Subscriptions of a session."""
MOST_ITEMS = 200
"""Items of a subscription."""
FASTEST_MS = 100.0
REQUEST_S = 0.002
ACT_S = 0.02
"""Time that each request, and each act, takes from what a session may ask in a second."""
_UNKNOWN = ua.StatusCode(ua.StatusCodes.BadNodeIdUnknown)


class AlarmSession(GuardedSession):
    """A session that sees the nodes of its scope, and owns its subscriptions."""

    nodes: "PlantNodes"
    methods: "Methods"

    def sees(self, node: ua.NodeId) -> bool:
        """Return whether a node is in the scope of the program."""
        asset = find_asset(node)
        return asset is None or self.program.sees(asset)

    async def _turn(self, named: Sequence[Any]) -> None:
        self.program  # noqa: B018 - raises for a session without one
        if len(named) > MOST_NAMED:
            raise ServiceError(ua.StatusCodes.BadTooManyOperations)
        await self.take_turn(REQUEST_S)

    async def read(self, params: ua.ReadParameters) -> list[ua.DataValue]:
        await self._turn(params.NodesToRead)
        found = await super().read(params)
        return [
            value if self.sees(one.NodeId) else ua.DataValue(StatusCode=_UNKNOWN)
            for one, value in zip(params.NodesToRead, found, strict=True)
        ]

    async def browse(self, params: ua.BrowseParameters) -> list[ua.BrowseResult]:
        await self._turn(params.NodesToBrowse)
        found = await super().browse(params)
        return [
            self._visible(one.NodeId, result)
            for one, result in zip(params.NodesToBrowse, found, strict=True)
        ]

    def _visible(self, node: ua.NodeId, found: ua.BrowseResult) -> ua.BrowseResult:
        result = ua.BrowseResult()
        if not self.sees(node):
            result.StatusCode = _UNKNOWN
            return result
        result.StatusCode = found.StatusCode
        seen = [one for one in found.References if self.sees(one.NodeId)]
        visible = self.program.visible
        if node == PLANT and visible is not None and len(seen) < len(found.References):
            known = {one.NodeId for one in seen}
            seen += [one for one in self.nodes.tops(visible) if one.NodeId not in known]
        result.References = seen
        return result

    async def translate_browsepaths_to_nodeids(
        self, params: list[ua.BrowsePath]
    ) -> list[ua.BrowsePathResult]:
        await self._turn(params)
        found: list[ua.BrowsePathResult] = await super().translate_browsepaths_to_nodeids(params)
        for result in found:
            result.Targets = [one for one in result.Targets if self.sees(one.TargetId)]
            if not result.Targets and result.StatusCode.is_good():
                result.StatusCode = ua.StatusCode(ua.StatusCodes.BadNoMatch)
        return found

    async def call(self, params: list[ua.CallMethodRequest]) -> list[ua.CallMethodResult]:
        await self._turn(params)
        results = []
        for one in params:
            await self.take_turn(ACT_S)
            results.append(await self.methods.call(self, one))
        return results

    # what no client may do

    async def write(self, params: ua.WriteParameters) -> list[ua.StatusCode]:
        await self._turn(params.NodesToWrite)
        self.refuse("write", "no node can be written")
        refused = ua.StatusCode(ua.StatusCodes.BadUserAccessDenied)
        return [refused for _ in params.NodesToWrite]

    def _refuse_service(self, what: str) -> NoReturn:
        self.refuse(what, "this server offers no such service")
        raise ServiceError(ua.StatusCodes.BadServiceUnsupported)

    async def history_read(self, _: Any) -> Any:
        self._refuse_service("history")

    async def add_nodes(self, _: Any) -> Any:
        self._refuse_service("nodes")

    async def delete_nodes(self, _: Any) -> Any:
        self._refuse_service("nodes")

    async def add_references(self, _: Any) -> Any:
        self._refuse_service("references")

    async def delete_references(self, _: Any) -> Any:
        self._refuse_service("references")

    async def transfer_subscriptions(self, _: Any, __: Any) -> Any:
        self._refuse_service("subscriptions of another session")

    # subscriptions

    def owned(self, id: int) -> Any:
        """Return a subscription of this session. Raises ServiceError for another one."""
        found = self.subscription_service.subscriptions.get(id)
        if found is None or found.session_id != self.session_id:
            raise ServiceError(ua.StatusCodes.BadSubscriptionIdInvalid)
        return found

    async def create_subscription(
        self,
        params: ua.CreateSubscriptionParameters,
        callback: Callable[..., Any],
        request_callback: Callable[..., Any] | None = None,
    ) -> ua.CreateSubscriptionResult:
        await self._turn(())
        known = self.subscription_service.subscriptions.values()
        if sum(one.session_id == self.session_id for one in known) >= MOST_OF_A_SESSION:
            self.refuse("subscription", "too many subscriptions of one session")
            raise ServiceError(ua.StatusCodes.BadTooManySubscriptions)
        wanted = params.RequestedPublishingInterval
        params.RequestedPublishingInterval = wanted if wanted >= FASTEST_MS else FASTEST_MS
        return await super().create_subscription(params, callback, request_callback)

    async def create_monitored_items(
        self, params: ua.CreateMonitoredItemsParameters
    ) -> list[ua.MonitoredItemCreateResult]:
        await self._turn(params.ItemsToCreate)
        service = self.owned(params.SubscriptionId).monitored_item_srv
        wanted = params.ItemsToCreate
        results = []
        for one in wanted:
            if len(service._monitored_items) >= MOST_ITEMS:
                code = ua.StatusCode(ua.StatusCodes.BadTooManyMonitoredItems)
                results.append(ua.MonitoredItemCreateResult(StatusCode=code))
            elif not self.sees(one.ItemToMonitor.NodeId):
                results.append(ua.MonitoredItemCreateResult(StatusCode=_UNKNOWN))
            else:
                results.append(await self._create(service, params, one))
        return results

    async def _create(
        self, service: Any, params: ua.CreateMonitoredItemsParameters, one: Any
    ) -> ua.MonitoredItemCreateResult:
        is_event = one.ItemToMonitor.AttributeId == ua.AttributeIds.EventNotifier
        asked = one.RequestedParameters
        try:
            given = check_filter(asked.Filter) if is_event else asked.Filter
        except ServiceError as fault:
            return ua.MonitoredItemCreateResult(StatusCode=ua.StatusCode(fault.code))
        if is_event:
            asked.QueueSize = 0  # the longest queue: a flood is told whole
        elif not isinstance(given, ua.DataChangeFilter):
            asked.Filter = None
        params.ItemsToCreate = [one]
        made = (await super().create_monitored_items(params))[0]
        known = service._monitored_items.get(made.MonitoredItemId)
        if is_event and known is not None:
            known.where_clause_evaluator = ConditionFilter(service.logger, self.aspace, given)
        return made

    async def modify_monitored_items(
        self, params: ua.ModifyMonitoredItemsParameters
    ) -> list[ua.MonitoredItemModifyResult]:
        self.owned(params.SubscriptionId)
        self._refuse_service("changes of items")

    async def set_monitoring_mode(self, params: ua.SetMonitoringModeParameters) -> Any:
        self.owned(params.SubscriptionId)
        return await super().set_monitoring_mode(params)

    async def set_publishing_mode(self, params: ua.SetPublishingModeParameters) -> Any:
        for id in params.SubscriptionIds:
            self.owned(id)
        return await super().set_publishing_mode(params)

    def republish(self, params: ua.RepublishParameters) -> ua.NotificationMessage:
        self.owned(params.SubscriptionId)
        return super().republish(params)

    async def delete_subscriptions(self, ids: list[int]) -> list[ua.StatusCode]:
        for id in ids:
            self.owned(id)
        codes: list[ua.StatusCode] = await super().delete_subscriptions(ids)
        return codes

    async def delete_monitored_items(self, params: ua.DeleteMonitoredItemsParameters) -> Any:
        self.owned(params.SubscriptionId)
        return await super().delete_monitored_items(params)

    def modify_subscription(
        self, params: ua.ModifySubscriptionParameters
    ) -> ua.ModifySubscriptionResult:
        self.owned(params.SubscriptionId)
        return super().modify_subscription(params)

    def publish(self, acks: Any = None) -> tuple[int, list[ua.StatusCode]]:
        known = self.subscription_service.subscriptions
        for one in acks or []:
            found = known.get(one.SubscriptionId)
            if found is not None and found.session_id != self.session_id:
                one.SubscriptionId = 0  # of another session: as unknown
        done: tuple[int, list[ua.StatusCode]] = super().publish(acks)
        return done
