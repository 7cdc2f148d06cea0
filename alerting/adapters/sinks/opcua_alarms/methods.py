"""The methods that a client may call: refresh, acknowledge, comment, shelve, unshelve. Every other
call is refused and counted."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from math import isfinite
from typing import Any, Literal

from asyncua import ua
from asyncua.common.utils import ServiceError

from alerting.adapters.sinks.opcua_alarms.guarded import SignedIn
from alerting.adapters.sinks.opcua_alarms.nodes import find_target
from alerting.adapters.sinks.opcua_alarms.sessions import AlarmSession
from alerting.definitions.faults import NotFound, UserError
from alerting.operators.actions import LONGEST_SHELF, NotAllowed
from alerting.ports import MutingPorts
from alerting.usecases.operators.alarm_conditions import AlarmBook, AlarmState
from alerting.usecases.operators.program_acts import (
    Program,
    acknowledge_alarm,
    comment_alarm,
    shelve_alarm,
    unshelve_alarm,
)

Work = Callable[[MutingPorts, Program, datetime], None]
Act = Callable[[SignedIn, str, Work], Awaitable[None]]
"""Does the work of a signed-in program, at an address, on the platform as the program sees it.
Raises UserError."""
Refresh = Callable[[AlarmSession, int, int | None], Awaitable[None]]
_CODES = ua.StatusCodes
_IDS = ua.ObjectIds
Name = Literal["acknowledge", "comment", "shelve", "unshelve", "refresh"]
Argument = Literal["event", "text", "duration", "id"]


@dataclass(frozen=True)
class Method:
    """A method. `takes`: the types of its arguments, `event` for the id of an event."""

    name: Name
    takes: tuple[Argument, ...]


_ANSWER: tuple[Argument, ...] = ("event", "text")
METHODS: Mapping[int, Method] = {
    _IDS.AcknowledgeableConditionType_Acknowledge: Method("acknowledge", _ANSWER),
    _IDS.ConditionType_AddComment: Method("comment", _ANSWER),
    _IDS.ShelvedStateMachineType_TimedShelve: Method("shelve", ("duration",)),
    _IDS.AlarmConditionType_ShelvingState_TimedShelve: Method("shelve", ("duration",)),
    _IDS.ShelvedStateMachineType_TimedShelve2: Method("shelve", ("duration", "text")),
    _IDS.AlarmConditionType_ShelvingState_TimedShelve2: Method("shelve", ("duration", "text")),
    _IDS.ShelvedStateMachineType_Unshelve: Method("unshelve", ()),
    _IDS.AlarmConditionType_ShelvingState_Unshelve: Method("unshelve", ()),
    _IDS.ShelvedStateMachineType_Unshelve2: Method("unshelve", ("text",)),
    _IDS.AlarmConditionType_ShelvingState_Unshelve2: Method("unshelve", ("text",)),
    _IDS.ConditionType_ConditionRefresh: Method("refresh", ("id",)),
    _IDS.ConditionType_ConditionRefresh2: Method("refresh", ("id", "id")),
}
"""The methods by the number of their node in the standard's types."""


class _CallRefusal(Exception):
    """A call that is refused: its status code, and why."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class Methods:
    """Answers to calls of methods."""

    def __init__(self, book: AlarmBook, act: Act, refresh: Refresh) -> None:
        self._book = book
        self._act = act
        self._refresh = refresh

    async def call(self, session: AlarmSession, asked: ua.CallMethodRequest) -> ua.CallMethodResult:
        """Return the answer to one call."""
        result = ua.CallMethodResult()
        try:
            await self._call(session, asked)
        except _CallRefusal as refused:
            result.StatusCode = ua.StatusCode(refused.code)
            subject = f"{_text(asked.ObjectId)} {_text(asked.MethodId)}"
            session.refuse(subject, refused.why)
        except ServiceError as fault:
            result.StatusCode = ua.StatusCode(fault.code)
        return result

    async def _call(self, session: AlarmSession, asked: ua.CallMethodRequest) -> None:
        method = _find(asked.MethodId)
        given = _read(method, asked.InputArguments or [])
        if method.name == "refresh":
            subscription, item = [*given, None][:2]
            await self._refresh(session, subscription, item)
            return
        target = find_target(asked.ObjectId)
        if target is None or not session.program.sees(target[1]) or not self._book.find(*target):
            raise _CallRefusal(_CODES.BadNodeIdUnknown, "there is no such alarm")
        if method.name in ("acknowledge", "comment"):
            event_id, text = given
            work = self._answer(method.name, target, event_id, text)
        else:
            work = self._shelving(session, method, target, given)
        await self._do(session, work)

    def _answer(self, name: Name, target: tuple[str, str], event_id: bytes, text: str) -> Work:
        alarm = self._book.find_event(target, event_id)
        if alarm is None:
            raise _CallRefusal(_CODES.BadEventIdUnknown, "there is no such event of this alarm")
        if name == "comment":
            return lambda platform, program, now: comment_alarm(platform, program, alarm, now, text)
        if alarm.is_acknowledged:
            raise _CallRefusal(_CODES.BadConditionBranchAlreadyAcked, "it is acknowledged already")
        return lambda platform, program, now: acknowledge_alarm(platform, program, alarm, now, text)

    def _shelving(
        self, session: AlarmSession, method: Method, target: tuple[str, str], given: Sequence[Any]
    ) -> Work:
        alarm: AlarmState = self._book.find(*target)[0]
        if method.name == "unshelve":
            if not alarm.is_shelved:
                raise _CallRefusal(_CODES.BadConditionNotShelved, "it is not shelved")
            return partial(_unshelve, alarm=alarm, reason=given[0] if given else "")
        lasting = timedelta(milliseconds=given[0])
        longest = LONGEST_SHELF[session.program.role]
        if longest and not timedelta(0) < lasting <= longest:
            raise _CallRefusal(
                _CODES.BadShelvingTimeOutOfRange, "the role may not shelve for so long"
            )
        reason = given[1] if len(given) > 1 else ""
        return partial(_shelve, alarm=alarm, lasting=lasting, reason=reason)

    async def _do(self, session: AlarmSession, work: Work) -> None:
        signed_in = session.signed_in
        if signed_in is None:
            raise _CallRefusal(_CODES.BadUserAccessDenied, "the sign-in is over")
        try:
            await self._act(signed_in, session.address, work)
        except NotAllowed as fault:
            raise _CallRefusal(_CODES.BadUserAccessDenied, str(fault)) from fault
        except NotFound as fault:
            raise _CallRefusal(_CODES.BadNodeIdUnknown, str(fault)) from fault
        except UserError as fault:
            raise _CallRefusal(_CODES.BadInvalidArgument, str(fault)) from fault
        except Exception as fault:  # the database is away, or another fault of ours
            raise _CallRefusal(_CODES.BadResourceUnavailable, type(fault).__name__) from fault


def _shelve(
    platform: MutingPorts,
    program: Program,
    now: datetime,
    *,
    alarm: AlarmState,
    lasting: timedelta,
    reason: str,
) -> None:
    shelve_alarm(platform, program, alarm, now, lasting, reason)


def _unshelve(
    platform: MutingPorts, program: Program, now: datetime, *, alarm: AlarmState, reason: str
) -> None:
    unshelve_alarm(platform, program, alarm, now, reason)


def _find(method: ua.NodeId) -> Method:
    found = METHODS.get(method.Identifier) if method.NamespaceIndex == 0 else None
    if found is None:
        raise _CallRefusal(_CODES.BadMethodInvalid, "this server offers no such method")
    return found


def _read(method: Method, given: Sequence[ua.Variant]) -> list[Any]:
    """Return the arguments of a call. Raises _CallRefusal for other ones."""
    if len(given) < len(method.takes):
        raise _CallRefusal(_CODES.BadArgumentsMissing, "arguments are missing")
    if len(given) > len(method.takes):
        raise _CallRefusal(_CODES.BadTooManyArguments, "there are too many arguments")
    return [_argument(kind, one.Value) for kind, one in zip(method.takes, given, strict=True)]


def _argument(kind: str, value: Any) -> Any:
    if kind == "text":
        text = value.Text if isinstance(value, ua.LocalizedText) else value
        if text is None or isinstance(text, str):
            return text or ""
    elif kind == "duration":
        if isinstance(value, int | float) and isfinite(value) and abs(value) < 1e12:
            return float(value)
    elif kind == "event":
        if value is None or isinstance(value, bytes):
            return value or b""
    elif isinstance(value, int):
        return value
    raise _CallRefusal(_CODES.BadTypeMismatch, "an argument has another type")


def _text(node: ua.NodeId) -> str:
    return str(node.to_string())[:200]
