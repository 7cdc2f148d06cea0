"""Actions of operators on an alarm: flags, one table of rules, and the ISA-18.2 name of the state.

The flags are independent; the name of the state follows from them (names after ISA-18.2, IEC
62682). `active` and `acknowledged` belong to an episode, the others to a definition on an asset,
because they outlast an episode.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Literal, get_args

from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable

Role = Literal["sender", "viewer", "operator", "engineer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
Flag = Literal["active", "acknowledged", "shelved", "out_of_service", "suppressed"]
FLAGS: tuple[Flag, ...] = get_args(Flag)
Action = Literal[
    "raise", "clear", "close", "acknowledge", "confirm", "comment", "assign",
    "mute", "unmute", "mute_ends", "take_out_of_service", "return_to_service", "suppress",
    "suppression_ends",
]  # fmt: skip
ACTION_NAMES: Mapping[Action, str] = MappingProxyType({
    "raise": "raise", "clear": "clear", "suppress": "suppress",
    "mute_ends": "mute ends", "suppression_ends": "suppression ends",
    "close": translatable("close"),
    "acknowledge": translatable("acknowledge"),
    "confirm": translatable("confirm"),
    "comment": translatable("comment"),
    "assign": translatable("assign"),
    "mute": translatable("mute"),
    "unmute": translatable("unmute"),
    "take_out_of_service": translatable("take out of service"),
    "return_to_service": translatable("return to service"),
})  # fmt: skip
IsaState = Literal[
    "normal", "unacknowledged", "acknowledged", "returned unacknowledged", "shelved", (
        "suppressed by design"
    ), "out of service",
]  # fmt: skip
ISA_LETTERS: Mapping[IsaState, str] = MappingProxyType({
    "normal": "A", "unacknowledged": "B", "acknowledged": "C", "returned unacknowledged": "D",
    "shelved": "E",
    "suppressed by design": "F", "out of service": "G",
})  # fmt: skip
LONGEST_MUTE: Mapping[Role, timedelta] = MappingProxyType({
    "sender": timedelta(0), "viewer": timedelta(0), "operator": timedelta(hours=8),
    "engineer": timedelta(days=7),
    "admin": timedelta(days=30),
})  # fmt: skip


class NotAllowed(UserError):
    """The role of the actor is not sufficient."""


@dataclass(frozen=True)
class Flags:
    """The flags of one target. Without an episode there is nothing to acknowledge."""

    active: bool = False
    acknowledged: bool = True
    shelved: bool = False
    out_of_service: bool = False
    suppressed: bool = False


@dataclass(frozen=True)
class ActionRule:
    """A row of the table. `by`: least role, None: the platform. `otherwise`: the refusal."""

    action: Action
    by: Role | None
    needs: Mapping[Flag, bool]
    sets: Mapping[Flag, bool]
    otherwise: str
    description: str


RULES: tuple[ActionRule, ...] = (
    ActionRule(
        "raise", None, {"active": False}, {"active": True, "acknowledged": False}, (
            "an episode is open already"
        ),
        "the condition has lasted for its on-delay; the episode must be acknowledged",
    ),
    ActionRule(
        "clear", None, {"active": True}, {"active": False}, "no episode is open",
        "the condition is gone for its off-delay; the episode can still be acknowledged",
    ),
    ActionRule(
        "close", "operator", {"active": True}, {"active": False}, translatable(
            "no episode is open"
        ),
        "ended by hand, with a reason: one that nothing evaluates, or a prediction that came true, "
        "when no reading shows whether its problem goes on",
    ),
    ActionRule(
        "acknowledge", "operator", {}, {"acknowledged": True}, "",
        "an operator has seen it; a second acknowledgement changes nothing",
    ),
    ActionRule(
        "confirm", "operator", {}, {"acknowledged": True}, "",
        "an operator acted on it: counts as `acted` in the feedback, and as acknowledged",
    ),
    ActionRule("comment", "operator", {}, {}, "", "a text that stays with the episode"),
    ActionRule("assign", "operator", {}, {}, "", "one person is responsible for it"),
    ActionRule(
        "mute", "operator", {"out_of_service": False}, {"shelved": True},
        translatable("it is out of service and so muted already"),
        "muted until a time, with a reason; if it is muted already, the new end and reason "
        "replace the old ones",
    ),
    ActionRule("unmute", "operator", {"shelved": True}, {"shelved": False}, translatable(
        "it is not muted"
    ), "muting ends early"),
    ActionRule("mute_ends", None, {"shelved": True}, {"shelved": False}, "it is not muted", (
        "its time is over"
    )),
    ActionRule(
        "take_out_of_service", "engineer", {"out_of_service": False}, {"out_of_service": True},
        translatable("it is out of service already"),
        "muted until an engineer returns it, with a reason: maintenance of a sensor, a removed "
        "part of the line",
    ),
    ActionRule(
        "return_to_service", "engineer", {"out_of_service": True}, {"out_of_service": False},
        translatable("it is not out of service"),
        "muting ends",
    ),
    ActionRule(
        "suppress", None, {"suppressed": False}, {"suppressed": True}, "it is suppressed already",
        "the line is in a state, or the calendar in a window, in which the definition notifies no "
        "recipient",
    ),
    ActionRule(
        "suppression_ends", None, {"suppressed": True}, {"suppressed": False}, (
            "it is not suppressed"
        ),
        "that state or window is over; an episode that is still open is announced then, one that "
        "has ended is not",
    ),
)  # fmt: skip
_BY_ACTION: Mapping[Action, ActionRule] = {rule.action: rule for rule in RULES}


def isa_state(flags: Flags) -> IsaState:
    """Return the ISA-18.2 name: out of service, shelved, suppressed, then the alarm's state."""
    if flags.out_of_service:
        return "out of service"
    if flags.shelved:
        return "shelved"
    if flags.suppressed:
        return "suppressed by design"
    if flags.active:
        return "acknowledged" if flags.acknowledged else "unacknowledged"
    return "normal" if flags.acknowledged else "returned unacknowledged"


def refusal(flags: Flags, action: Action) -> str | None:
    """Return why an action is refused in this state, None where it is allowed."""
    rule = _BY_ACTION[action]
    met = all(getattr(flags, flag) == value for flag, value in rule.needs.items())
    return None if met else rule.otherwise


def move(flags: Flags, action: Action) -> Flags:
    """Return the flags after an action. Raises UserError where the table does not allow it."""
    refused = refusal(flags, action)
    if refused is not None:
        raise UserError(
            translatable("cannot {action}: {reason}", action=ACTION_NAMES[action], reason=refused)
        )
    sets: Mapping[str, bool] = {str(flag): value for flag, value in _BY_ACTION[action].sets.items()}
    return replace(flags, **sets)


def permit(action: Action, role: Role) -> None:
    """Check that a role may perform an action. Raises NotAllowed if it may not."""
    least = _BY_ACTION[action].by
    if least is None or ROLES.index(role) < ROLES.index(least):
        refused = translatable(
            "to {action} needs the role {needed}, not {role}",
            action=ACTION_NAMES[action],
            needed=least or translatable("of the platform itself"),
            role=role,
        )
        raise NotAllowed(refused)
