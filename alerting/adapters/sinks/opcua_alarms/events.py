"""Alarm states as events of OPC UA conditions, and the filters of those who subscribe them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.address_space import AddressSpace
from asyncua.server.monitored_item_service import WhereClauseEvaluator

from alerting.definitions.wording.language import Language, template
from alerting.operators.actions import LONGEST_SHELF
from alerting.usecases.operators.alarm_conditions import SEVERITY_NUMBERS, AlarmState

ALARM_TYPE = ua.NodeId(ua.ObjectIds.AlarmConditionType)
MOST_FIELDS = 200
MOST_CONDITIONS = 50
MOST_OPERANDS = 500
_STATES = {
    "AckedState": (template("acknowledged"), template("not acknowledged")),
    "ConfirmedState": (template("confirmed"), template("not confirmed")),
    "SuppressedState": (template("suppressed by design"), template("not suppressed")),
    "SilenceState": (template("silenced"), template("not silenced")),
    "OutOfServiceState": (template("out of service"), template("in service")),
}
_ACTIVE = template("active")
_PREDICTED = template("predicted")
_OVER = template("over")
_SHELVED = template("shelved")
_NOT_SHELVED = template("not shelved")
Values = dict[str, ua.Variant]


@dataclass(frozen=True)
class ConditionEvent:
    """An event: its values by browse path, `/` between the names. `asyncua` sets the node at which
    it is told."""

    values: Mapping[str, ua.Variant]

    @property
    def type(self) -> ua.NodeId:
        """Return the type of the event."""
        found: ua.NodeId = self.values["EventType"].Value
        return found

    def select(self, clauses: Sequence[Any]) -> list[ua.Variant]:
        """Return the values of the fields that a filter selects; null for those it has not."""
        return [self.values.get(_path(clause), _NULL) for clause in clauses]


_NULL = ua.Variant(None)


def alarm_event(
    alarm: AlarmState,
    condition: ua.NodeId,
    source: ua.NodeId,
    source_name: str,
    now: datetime,
    language: Language,
) -> ConditionEvent:
    """Return the event that tells the state of an alarm."""

    def text(of: str) -> ua.Variant:
        return ua.Variant(ua.LocalizedText(of, language.code))

    def translated(of: str) -> ua.Variant:
        return text(language.translate(of))

    number = ua.Variant(SEVERITY_NUMBERS[alarm.severity], ua.VariantType.UInt16)
    is_muted = alarm.suppressed or alarm.is_shelved
    values: Values = {
        "NodeId": ua.Variant(condition),
        "EventId": ua.Variant(alarm.event_id, ua.VariantType.ByteString),
        "EventType": ua.Variant(ALARM_TYPE),
        "SourceNode": ua.Variant(source),
        "SourceName": ua.Variant(source_name, ua.VariantType.String),
        "Time": _time(alarm.changed_at),
        "ReceiveTime": _time(now),
        "Message": text(alarm.message),
        "Severity": number,
        "ConditionClassId": ua.Variant(ua.NodeId(ua.ObjectIds.ProcessConditionClassType)),
        "ConditionClassName": text("Process"),
        "ConditionName": ua.Variant(alarm.definition, ua.VariantType.String),
        "BranchId": ua.Variant(_branch(alarm)),
        "Retain": ua.Variant(alarm.is_retained, ua.VariantType.Boolean),
        "Quality": ua.Variant(ua.StatusCode(), ua.VariantType.StatusCode),
        "Quality/SourceTimestamp": _time(alarm.changed_at),
        "LastSeverity": number,
        "LastSeverity/SourceTimestamp": _time(alarm.changed_at),
        "Comment": text(alarm.comment),
        "Comment/SourceTimestamp": _time(alarm.commented_at or alarm.raised_at),
        "ClientUserId": ua.Variant(alarm.commented_by, ua.VariantType.String),
        "InputNode": ua.Variant(ua.NodeId()),
        "EnabledState": translated(_ACTIVE),
        "EnabledState/Id": _flag(True),
        "ActiveState": translated(_active(alarm)),
        "ActiveState/Id": _flag(alarm.is_active),
        "ActiveState/TransitionTime": _time(alarm.closed_at or alarm.raised_at),
        "ActiveState/EffectiveDisplayName": translated(_active(alarm)),
        "AckedState/TransitionTime": _time(
            alarm.acknowledged.at if alarm.acknowledged else alarm.raised_at
        ),
        "SuppressedOrShelved": _flag(is_muted or alarm.out_of_service),
        "ShelvingState/CurrentState": translated(_SHELVED if alarm.is_shelved else _NOT_SHELVED),
        "ShelvingState/CurrentState/Id": ua.Variant(
            ua.NodeId(
                ua.ObjectIds.ShelvedStateMachineType_TimedShelved
                if alarm.is_shelved
                else ua.ObjectIds.ShelvedStateMachineType_Unshelved
            )
        ),
        "ShelvingState/UnshelveTime": _duration(
            alarm.shelved_until - now if alarm.shelved_until else timedelta(0)
        ),
        "MaxTimeShelved": _duration(LONGEST_SHELF["operator"]),
    }
    flags = {
        "AckedState": alarm.is_acknowledged,
        "ConfirmedState": alarm.confirmed is not None,
        "SuppressedState": alarm.suppressed,
        "SilenceState": alarm.silenced,
        "OutOfServiceState": alarm.out_of_service,
    }
    for name, value in flags.items():
        values[name] = translated(_STATES[name][0 if value else 1])
        values[f"{name}/Id"] = _flag(value)
    return ConditionEvent(values)


def system_event(type: int, message: str, now: datetime, id: bytes) -> ConditionEvent:
    """Return an event of the server itself, such as the begin of a refresh."""
    return ConditionEvent(
        {
            "EventId": ua.Variant(id, ua.VariantType.ByteString),
            "EventType": ua.Variant(ua.NodeId(type)),
            "SourceNode": ua.Variant(ua.NodeId(ua.ObjectIds.Server)),
            "SourceName": ua.Variant("Server", ua.VariantType.String),
            "Time": _time(now),
            "ReceiveTime": _time(now),
            "Message": ua.Variant(ua.LocalizedText(message)),
            "Severity": ua.Variant(1, ua.VariantType.UInt16),
        }
    )


def check_filter(given: object) -> ua.EventFilter:
    """Return the filter of an item. Raises ServiceError for none, a large one, or one that goes in
    a circle."""
    if not isinstance(given, ua.EventFilter):
        raise ServiceError(ua.StatusCodes.BadEventFilterInvalid)
    elements = given.WhereClause.Elements if given.WhereClause else []
    operands = sum(len(one.FilterOperands) for one in elements)
    paths = [len(one.BrowsePath) for one in given.SelectClauses]
    too_large = (
        len(given.SelectClauses) > MOST_FIELDS
        or len(elements) > MOST_CONDITIONS
        or operands > MOST_OPERANDS
        or max(paths, default=0) > 10
    )
    circular = any(
        isinstance(operand, ua.ElementOperand) and not i < operand.Index < len(elements)
        for i, one in enumerate(elements)
        for operand in one.FilterOperands
    )
    if too_large or circular:
        raise ServiceError(ua.StatusCodes.BadEventFilterInvalid)
    return given


class ConditionFilter(WhereClauseEvaluator):  # type: ignore[misc]
    """A where-clause on events of conditions. A field that an event has not is null."""

    def __init__(self, logger: Any, aspace: AddressSpace, given: ua.EventFilter) -> None:
        super().__init__(logger, aspace, given.WhereClause or ua.ContentFilter())

    def eval(self, event: ConditionEvent) -> bool:
        """Return whether an event is wanted; one that cannot be compared is not."""
        if not self.elements:
            return True
        try:
            return bool(self._eval_el(0, event))
        except Exception:  # values of a client, of any types
            return False

    def _eval_el(self, index: int, event: ConditionEvent) -> Any:
        one = self.elements[index]
        if one.FilterOperator == ua.FilterOperator.OfType:
            return self._eval_op(one.FilterOperands[0], event) in self._types(event.type)
        return super()._eval_el(index, event)

    def _eval_op(self, op: Any, event: ConditionEvent) -> Any:
        if isinstance(op, ua.SimpleAttributeOperand):
            return event.values.get(_path(op), _NULL).Value
        return super()._eval_op(op, event)

    @cached_property
    def _lines(self) -> dict[ua.NodeId, tuple[ua.NodeId, ...]]:
        return {}

    def _types(self, type: ua.NodeId) -> tuple[ua.NodeId, ...]:
        """Return a type and its supertypes."""
        if type not in self._lines:
            self._lines[type] = tuple(_supertypes(self._aspace, type))
        return self._lines[type]


def _supertypes(aspace: AddressSpace, type: ua.NodeId) -> Iterator[ua.NodeId]:
    while type in aspace:
        yield type
        above = (
            one.NodeId
            for one in aspace[type].references
            if not one.IsForward and one.ReferenceTypeId == ua.NodeId(ua.ObjectIds.HasSubtype)
        )
        found = next(above, None)
        if found is None:
            return
        type = found


def _path(clause: Any) -> str:
    if clause.BrowsePath:
        return "/".join(name.Name for name in clause.BrowsePath)
    return "NodeId" if clause.AttributeId == ua.AttributeIds.NodeId else ""


def _active(alarm: AlarmState) -> str:
    if not alarm.is_active:
        return _OVER
    return _PREDICTED if alarm.is_predicted else _ACTIVE


def _branch(alarm: AlarmState) -> ua.NodeId:
    return ua.NodeId(f"branch/{alarm.episode}", 2) if alarm.is_branch else ua.NodeId()


def _flag(value: bool) -> ua.Variant:
    return ua.Variant(value, ua.VariantType.Boolean)


def _time(value: datetime) -> ua.Variant:
    return ua.Variant(value.astimezone(UTC), ua.VariantType.DateTime)


def _duration(value: timedelta) -> ua.Variant:
    milliseconds = max(value / timedelta(milliseconds=1), 0.0)
    return ua.Variant(milliseconds, ua.VariantType.Double)
