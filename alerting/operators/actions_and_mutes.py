"""Actions of operators on an alarm: its flags, one table of rules, and the ISA-18.2 name of its
state; and mutes.

The flags are independent; the name of the state follows from them (names after ISA-18.2, IEC
62682). `active` and `acknowledged` belong to an episode, the others to a definition on an asset,
because they outlast an episode.

Mutes hold back the notifications of alarms for a time, with a reason: of one definition on one
asset, of a part of the plant, of a definition, or by severity. Evaluation goes on. A `plain` mute
does nothing else. Alarms raised in `maintenance` are also left out of learning, outcomes and
metrics. `out_of_service` mutes one definition on one asset, and may have no end.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args

from alerting.definitions.alert_definition import SEVERITIES, Severity
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import Styled, translatable
from alerting.episodes.episode import Episode
from alerting.readings.history import LAST_INSTANT, from_millis, to_millis

Role = Literal["sender", "viewer", "operator", "engineer", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
Flag = Literal["active", "acknowledged", "shelved", "out_of_service", "suppressed"]
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
    """Error: the role of the actor is not sufficient."""


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
    """A row of the table. `by`: the least role that may act, None: only the platform. `otherwise`:
    the refusal in other states."""

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
        "ended by hand, with a reason: one that nothing evaluates, or of which no reading has come "
        "for `stale_after` (15 min at least) or shows whether its problem goes on, or whose event "
        "has no end for a day; only a further reading raises it again",
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
    """Return the ISA-18.2 name of the state: out of service, shelved or suppressed, in this order,
    else that of the alarm."""
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
    """Return the flags after an action. Raises UserError if the table does not allow the action."""
    refused = refusal(flags, action)
    if refused is not None:
        raise UserError(
            translatable("cannot {action}: {reason}", action=ACTION_NAMES[action], reason=refused)
        )
    sets: Mapping[str, bool] = {str(flag): value for flag, value in _BY_ACTION[action].sets.items()}
    return replace(flags, **sets)


def permit(action: Action, role: Role) -> None:
    """Check that a role may perform an action. Raises NotAllowed if not."""
    least = _BY_ACTION[action].by
    if least is None or ROLES.index(role) < ROLES.index(least):
        refused = translatable(
            "to {action} needs the role {needed}, not {role}",
            action=ACTION_NAMES[action],
            needed=least or translatable("of the platform itself"),
            role=role,
        )
        raise NotAllowed(refused)


MuteKind = Literal["plain", "maintenance", "out_of_service"]
MutePhase = Literal["present", "planned", "over"]
MUTE_KINDS: Mapping[MuteKind, str] = MappingProxyType({
    "plain": translatable("muted"),
    "maintenance": translatable("maintenance"),
    "out_of_service": translatable("out of service"),
})  # fmt: skip
LONGEST_UNTIL_EVENT = timedelta(hours=24)
MOST_NOTIFIED = 20


@dataclass(frozen=True)
class Matcher:
    """Selection of alarms: an alarm must fit every given field; at least one is given.

    `part`: an asset with everything below it; `asset`: this one alone; `up_to`: the highest
    severity.
    """

    part: str | None = None
    asset: str | None = None
    definition: str | None = None
    up_to: Severity | None = None

    @property
    def is_target(self) -> bool:
        """Return whether the matcher is the narrowest one: one definition on one asset."""
        return None not in (self.asset, self.definition) and self.part is self.up_to is None

    @property
    def is_whole(self) -> bool:
        """Return whether the matcher covers every alarm of its assets."""
        return self.definition is None and self.up_to is None

    def is_on(self, line: Sequence[str]) -> bool:
        """Return whether the matcher covers alarms of an asset. `line`: the asset and all its
        ancestors."""
        return self.part in (None, *line) and self.asset in (None, line[0])

    def covers(self, definition: str, line: Sequence[str], severity: Severity) -> bool:
        """Return whether the matcher covers an alarm. `line`: its asset and all ancestors of
        that."""
        return (
            self.is_on(line)
            and self.definition in (None, definition)
            and (self.up_to is None or SEVERITIES.index(severity) <= SEVERITIES.index(self.up_to))
        )


class EndingEvent(NamedTuple):
    """The event that ends a mute."""

    type: str
    asset: str


@dataclass(frozen=True, kw_only=True)
class Mute(Matcher):
    """A mute in [since, until), unless it was ended before `until`.

    `until`: None for out of service without an end. `event`, `event_asset`: type and asset of the
    event that ends the mute earlier. `made_at`: when a person last set its end. `notified`:
    channels that get a message when the mute begins and when it ends.
    """

    id: str
    kind: MuteKind
    since: datetime
    until: datetime | None
    event: str | None = None
    event_asset: str | None = None
    reason: str
    actor: str
    made_at: datetime
    notified: tuple[str, ...] = ()
    ended_at: datetime | None = None
    ended_by: str | None = None
    end_reason: str | None = None
    version: int = 1

    @property
    def end(self) -> datetime:
        """Return when the mute ends, or was ended."""
        return self.ended_at or self.until or LAST_INSTANT

    def phase(self, now: datetime) -> MutePhase:
        """Return whether the mute is present, planned or over. A mute begins and ends without any
        action."""
        if self.end <= now or self.end <= self.since:
            return "over"
        return "present" if self.since <= now else "planned"

    def with_new_id(self) -> "Mute":
        """Return the same mute with a new id, because the id is taken by a mute of the same instant
        that has ended."""
        return replace(self, id=hashlib.sha256(self.id.encode()).hexdigest()[:24])

    def instead_of(self, before: "Mute") -> "Mute":
        """Return the next version of `earlier`, a present mute or one with the same begin, with the
        end and reason of this mute."""
        return replace(self, id=before.id, since=before.since, version=before.version + 1)

    def ended(self, at: datetime, by: str, reason: str) -> "Mute":
        """Return the next version of the mute, which was ended at an instant."""
        return replace(self, ended_at=at, ended_by=by, end_reason=reason, version=self.version + 1)


def find_mutes(
    mutes: Iterable[Mute], definition: str, line: Sequence[str], severity: Severity, at: datetime
) -> list[Mute]:
    """Return the mutes that cover an alarm at an instant: maintenance before others, then those
    that end last first. `line`: the asset of the alarm and all its ancestors."""
    matching = [
        mute
        for mute in mutes
        if mute.since <= at < mute.end and mute.covers(definition, line, severity)
    ]
    return sorted(matching, key=lambda mute: (mute.kind == "maintenance", mute.end), reverse=True)


@dataclass(frozen=True)
class MuteMark:
    """The mute that pages show on an asset. `is_whole`: it covers every alarm of the asset, not
    only alarms of a definition or up to a severity."""

    kind: MuteKind
    is_whole: bool


def find_marks(
    mutes: Iterable[Mute],
    lines: Mapping[str, Sequence[str]],
    definitions: Mapping[str, Collection[str]],
    at: datetime,
) -> dict[str, MuteMark]:
    """Return, by muted asset, its first mark at an instant: a mute of every alarm before a mute of
    some, maintenance before others. `lines`: by asset, the asset and all its ancestors;
    `definitions`: by asset, the definitions evaluated on it."""
    present = [mute for mute in mutes if mute.phase(at) == "present"]
    by_asset = {}
    for asset, line in lines.items():
        marks = [
            MuteMark(mute.kind, mute.is_whole)
            for mute in present
            if mute.is_on(line)
            and (mute.definition is None or mute.definition in definitions.get(asset, ()))
        ]
        if marks:
            by_asset[asset] = max(
                marks, key=lambda mark: (mark.is_whole, mark.kind == "maintenance")
            )
    return by_asset


def new_mute(
    kind: MuteKind,
    matcher: Matcher,
    since: datetime | None,
    until: datetime | None,
    event: EndingEvent | None,
    reason: str,
    notified: Iterable[str],
    actor: str,
    role: Role,
    now: datetime,
) -> Mute:
    """Return a new mute with its id; instants are whole milliseconds.

    Raises UserError if it selects no alarm, has no reason or no end, does not end after it begins,
    or begins too far ahead. Raises NotAllowed if it is longer than the role may mute.
    """
    if matcher == Matcher():
        raise UserError(
            translatable("say what is muted: a part of the plant, a definition or a severity")
        )
    if kind == "out_of_service" and not matcher.is_target:
        raise UserError(translatable("out of service is one definition on one asset: name both"))
    why = " ".join(reason.split())
    if not why:
        raise UserError(
            translatable("a reason is required, for other operators: write why it is muted")
        )
    if len(why) > 500:
        raise UserError(translatable("the reason has at most 500 characters"))
    names = tuple(sorted(set(notified)))
    if len(names) > MOST_NOTIFIED:
        raise UserError(translatable("name at most 20 channels"))
    made_at = from_millis(to_millis(now))
    begin = made_at if since is None else max(from_millis(to_millis(since)), made_at)
    if begin > now + timedelta(days=90):
        raise UserError(translatable("plan at most 90 days ahead"))
    end = None if until is None else from_millis(to_millis(until))
    if end is None and event is not None:
        end = begin + min(LONGEST_UNTIL_EVENT, LONGEST_MUTE[role])
    require_length(kind, role, begin, end, event is not None)
    content = [kind, repr(matcher), begin.isoformat(), str(end), actor, made_at.isoformat()]
    return Mute(
        **asdict(matcher),
        id=hashlib.sha256("|".join(content).encode()).hexdigest()[:24],
        kind=kind,
        since=begin,
        until=end,
        event=event and event.type,
        event_asset=event and event.asset,
        reason=why,
        actor=actor,
        made_at=made_at,
        notified=names,
    )


def require_length(
    kind: MuteKind, role: Role, since: datetime, until: datetime | None, by_event: bool
) -> None:
    """Check how long a mute lasts. Raises UserError if it does not end after it begins, or if it is
    to end `by_event` and lasts longer than a day; NotAllowed if it is longer than the role may
    mute."""
    if until is not None and until <= since:
        raise UserError(
            translatable("the end {end} is not after the begin, {begin}", end=until, begin=since)
        )
    if kind == "out_of_service":
        return
    if until is None:
        raise UserError(
            translatable("an end is required: give a time, a duration or the event that ends it")
        )
    if by_event and until - since > LONGEST_UNTIL_EVENT:
        raise UserError(translatable("until an event it lasts at most 24 hours"))
    if until - since > LONGEST_MUTE[role]:
        limit = {"role": role, "duration": Styled(LONGEST_MUTE[role].total_seconds(), "duration")}
        may = [longer_role for longer_role in ROLES if LONGEST_MUTE[longer_role] >= until - since]
        if may:
            raise NotAllowed(
                translatable(
                    "the role {role} may mute for at most {duration}; longer needs the role "
                    "{other}",
                    other=may[0],
                    **limit,
                )
            )
        raise NotAllowed(
            translatable(
                "the role {role} may mute for at most {duration}; no role may mute for longer: "
                "take the alarm out of service",
                **limit,
            )
        )


def describe_mute(mute: Mute) -> str:
    """Describe a mute in one clause: kind, end, actor and reason."""
    values = {"state": MUTE_KINDS[mute.kind], "person": mute.actor, "reason": mute.reason}
    if mute.end == LAST_INSTANT:
        return translatable("{state} by {person}: {reason}", **values)
    return translatable("{state} until {when} by {person}: {reason}", when=mute.end, **values)


def current_flags(episode: Episode | None, mutes: Iterable[Mute], suppressed: bool) -> Flags:
    """Return a target's flags. `mutes`: those that cover its alarm. A backfilled episode needs no
    acknowledgement."""
    kinds = {mute.kind for mute in mutes}
    return Flags(
        active=episode is not None and episode.condition == "open",
        acknowledged=episode is None or episode.backfilled or episode.acknowledged is not None,
        shelved=bool(kinds - {"out_of_service"}),
        out_of_service="out_of_service" in kinds,
        suppressed=suppressed,
    )
