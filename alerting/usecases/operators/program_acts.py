"""Acts on alarms that another system sends: those of a named program, under the rules of operators.

An act concerns one alarm that was told to the program. Whatever else is asked for is refused and
counted.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alerting.definitions.faults import UserError
from alerting.definitions.wording.clean_text import clean_text
from alerting.definitions.wording.language import template, translatable
from alerting.operators.actions import LONGEST_SHELF, NotAllowed, Role
from alerting.operators.permissions import LEAST_ROLES, Rights, may
from alerting.operators.refusals import Refusal, RefusalLog
from alerting.ports import Audit, MutingPorts
from alerting.usecases.access.audit import audit_refusals
from alerting.usecases.operators.alarm_conditions import AlarmState
from alerting.usecases.operators.operate import Actor, acknowledge, comment
from alerting.usecases.operators.shelving import shelve, unshelve

LONGEST_NOTE = 500
WITHOUT_REASON = template("by another system, which stated no reason")
REFUSED = template("refused from outside")
MOST_REASONS = 50


@dataclass(frozen=True)
class Program:
    """The account with which another system acts. `visible`: as of `Rights`."""

    name: str
    role: Role
    visible: frozenset[str] | None = None

    @property
    def rights(self) -> Rights:
        """Return what it may do, and where."""
        return Rights(self.role, self.visible)

    @property
    def actor(self) -> Actor:
        """Return the actor of use cases."""
        return Actor(self.name, self.role)

    def sees(self, asset: str) -> bool:
        """Return whether it may see the alarms of an asset."""
        return may(self.rights, "read", frozenset({asset}))


def acknowledge_alarm(
    platform: MutingPorts, program: Program, alarm: AlarmState, now: datetime, note: str
) -> None:
    """Acknowledge the episode of an alarm. Raises UserError."""
    _require(program, alarm)
    acknowledge(platform, alarm.episode, program.actor, now, _note(note))


def comment_alarm(
    platform: MutingPorts, program: Program, alarm: AlarmState, now: datetime, text: str
) -> None:
    """Add a comment to the episode of an alarm. Raises UserError."""
    _require(program, alarm)
    comment(platform, alarm.episode, program.actor, now, _note(text))


def shelve_alarm(
    platform: MutingPorts,
    program: Program,
    alarm: AlarmState,
    now: datetime,
    lasting: timedelta,
    reason: str,
) -> None:
    """Shelve the target of an alarm. Raises UserError, also for longer than the role may."""
    _require(program, alarm)
    why = _note(reason) or WITHOUT_REASON
    end = now + min(lasting, LONGEST_SHELF["admin"] + timedelta(days=1))
    shelve(platform, alarm.definition, alarm.asset, program.actor, now, end, why)


def unshelve_alarm(
    platform: MutingPorts, program: Program, alarm: AlarmState, now: datetime, reason: str
) -> None:
    """End the shelf of the target of an alarm. Raises UserError."""
    _require(program, alarm)
    unshelve(platform, alarm.definition, alarm.asset, program.actor, now, _note(reason))


@dataclass
class RefusedActs:
    """Count of what was refused, in bounded memory, with joined entries in the audit."""

    audit: Callable[[], Audit]
    what: str = REFUSED
    counts: Counter[str] = field(default_factory=Counter)
    _log: RefusalLog = field(default_factory=RefusalLog)

    def add(self, address: str, person: str, subject: str, why: str, now: datetime) -> None:
        """Count a refusal, and audit the entries that are due."""
        known = why if why in self.counts or len(self.counts) < MOST_REASONS else "other"
        self.counts[known] += 1
        refusal = Refusal(address, person, self.what, clean_text(subject)[:LONGEST_NOTE], why)
        audit_refusals(self.audit(), self._log.add(refusal, now))

    def audit_due(self, now: datetime, *, all_of_them: bool = False) -> None:
        """Audit the counts whose time is over."""
        audit_refusals(self.audit(), self._log.due(now, all_of_them=all_of_them))


def _require(program: Program, alarm: AlarmState) -> None:
    """Raise NotAllowed if a program may not answer an alarm."""
    if not may(program.rights, "operate", frozenset({alarm.asset})):
        raise NotAllowed(
            translatable(
                "this needs the role {role}; {person} has the role {own}",
                role=LEAST_ROLES["operate"],
                person=program.name,
                own=program.role,
            )
        )


def _note(text: str) -> str:
    cleaned = clean_text(text).strip()
    if len(cleaned) > LONGEST_NOTE:
        raise UserError(
            translatable("the text is longer than {most} characters", most=str(LONGEST_NOTE))
        )
    return cleaned
