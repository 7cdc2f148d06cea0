"""What a shift hands over: alarms, what was done about them, what is muted and what was changed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from alerting.definitions.model import SEVERITIES, Revision, Severity
from alerting.episodes.episode import Episode, Feedback, Outcome, Phase, Verdict
from alerting.episodes.misses import ReportedMiss
from alerting.operators.shelves import Shelf, ShelfKind
from alerting.operators.shifts import Shift
from alerting.operators.silences import Silence, SilenceKind, SilenceScope

MOST_LISTED = 60
"""Lines of each kind that a summary lists; more are counted."""
LONGEST_TEXT = 500
DeedKind = Literal["acted", "commented", "took over", "closed", "missed"]


@dataclass(frozen=True)
class ShiftAlarm:
    """An alarm as a shift hands it over. `taken_by`: the person it is assigned to, else the one who
    acknowledged it. `verdict`, `acted`: of the answers to it."""

    episode: str
    definition: str
    asset: str
    title: str
    severity: Severity
    raised_at: datetime
    closed_at: datetime | None
    phase: Phase
    taken_by: str | None
    verdict: Verdict | None
    acted: bool
    outcome: Outcome | None
    is_muted: bool

    @property
    def is_answered(self) -> bool:
        return self.verdict is not None or self.acted

    @property
    def is_question(self) -> bool:
        """Return whether an answer is still expected."""
        return not self.is_answered and not self.is_muted


@dataclass(frozen=True)
class ShiftDeed:
    """What a person did about an alarm, or reported. `outcome`: what came of the alarm. `episode`:
    None for an alarm that did not come."""

    kind: DeedKind
    at: datetime
    actor: str
    text: str
    title: str
    asset: str
    episode: str | None
    outcome: Outcome | None


@dataclass(frozen=True)
class ShiftMute:
    """A shelf in force."""

    definition: str
    asset: str
    kind: ShelfKind
    until: datetime | None
    reason: str
    actor: str


@dataclass(frozen=True)
class ShiftSilence:
    """A silence or a maintenance that is present, or begins soon."""

    kind: SilenceKind
    scope: SilenceScope
    since: datetime
    until: datetime
    reason: str
    actor: str


@dataclass(frozen=True)
class ShiftChange:
    """A revision of a definition that was made in a shift."""

    definition: str
    revision: int
    actor: str
    at: datetime
    reason: str


@dataclass(frozen=True)
class ShiftSummary:
    """What a shift hands over, as of an instant.

    `open`: alarms that are open; `left`: unanswered ones of earlier shifts; `over`: ended ones that
    were raised or ended in the shift. `still_open`, `open_questions`, `done`: how many alarms and
    deeds, also those that are not listed; 0 in a summary signed before they were counted.
    `omitted`: lines that are not listed. `silences`: in force, or planned.
    """

    at: datetime
    open: tuple[ShiftAlarm, ...] = ()
    left: tuple[ShiftAlarm, ...] = ()
    over: tuple[ShiftAlarm, ...] = ()
    deeds: tuple[ShiftDeed, ...] = ()
    muted: tuple[ShiftMute, ...] = ()
    changes: tuple[ShiftChange, ...] = ()
    raised: int = 0
    omitted: int = 0
    still_open: int = 0
    open_questions: int = 0
    done: int = 0
    silences: tuple[ShiftSilence, ...] = ()

    @property
    def open_count(self) -> int:
        return max(self.still_open, len(self.open))

    @property
    def deed_count(self) -> int:
        return max(self.done, len(self.deeds))

    @property
    def alarms(self) -> tuple[ShiftAlarm, ...]:
        return (*self.open, *self.over, *self.left)

    @property
    def questions(self) -> int:
        """Return how many alarms are unanswered, those of earlier shifts among them."""
        return self.open_questions or sum(alarm.is_question for alarm in self.alarms)


def summarise_shift(
    shift: Shift,
    at: datetime,
    episodes: Iterable[Episode],
    misses: Iterable[ReportedMiss],
    shelves: Iterable[Shelf],
    revisions: Iterable[Revision],
    silences: Iterable[Silence] = (),
) -> ShiftSummary:
    """Return what a shift hands over at an instant. `episodes`: of the shift, and before it.
    `silences`: in force, or planned for the next shift."""
    live = [e for e in episodes if not (e.backfilled or e.withdrawn) and e.raised_at < shift.end]
    alarms = [shift_alarm(episode) for episode in sorted(live, key=_urgency)]
    still_open = [alarm for alarm in alarms if alarm.closed_at is None]
    ended = [alarm for alarm in alarms if alarm.closed_at is not None]
    over = [a for a in ended if _is_within(shift, a.raised_at) or _is_within(shift, a.closed_at)]
    left = [a for a in ended if a not in over and a.raised_at < shift.start and a.is_question]
    deeds = [deed for episode in live for deed in _deeds_of(episode, shift)]
    deeds += [_missed(miss) for miss in misses if _is_within(shift, miss.at)]
    muted = [
        ShiftMute(s.definition, s.asset, s.kind, s.until, s.reason[:LONGEST_TEXT], s.actor)
        for s in shelves
        if s.mutes(at)
    ]
    changes = [
        ShiftChange(r.name, r.number, r.author, r.at, r.reason[:LONGEST_TEXT])
        for r in revisions
        if _is_within(shift, r.at)
    ]
    silenced = [
        ShiftSilence(s.kind, s.scope, s.since, s.end, s.reason[:LONGEST_TEXT], s.author)
        for s in sorted(silences, key=lambda one: (one.since, one.id))
    ]
    deeds.sort(key=lambda deed: (deed.at, deed.kind, deed.episode or ""))
    changes.sort(key=lambda change: (change.at, change.definition))
    lists = (still_open, left, over, deeds, muted, changes, silenced)
    return ShiftSummary(
        at,
        tuple(still_open[:MOST_LISTED]),
        tuple(left[:MOST_LISTED]),
        tuple(over[:MOST_LISTED]),
        tuple(deeds[-MOST_LISTED:]),
        tuple(muted[:MOST_LISTED]),
        tuple(changes[-MOST_LISTED:]),
        raised=sum(_is_within(shift, alarm.raised_at) for alarm in alarms),
        omitted=sum(max(len(listed) - MOST_LISTED, 0) for listed in lists),
        still_open=len(still_open),
        open_questions=sum(alarm.is_question for alarm in (*still_open, *over, *left)),
        done=len(deeds),
        silences=tuple(silenced[:MOST_LISTED]),
    )


def shift_alarm(episode: Episode) -> ShiftAlarm:
    """Return an episode as a shift hands it over."""
    seen = episode.acknowledged
    verdicts = [given.verdict for given in episode.feedback if given.verdict is not None]
    record = episode.outcome_record
    return ShiftAlarm(
        episode.id,
        episode.definition,
        episode.asset,
        episode.title[:LONGEST_TEXT],
        episode.severity_peak or episode.severity,
        episode.raised_at,
        episode.closed_at,
        episode.phase,
        episode.assigned_to or (None if seen is None else seen.actor),
        verdicts[-1] if verdicts else None,
        any(given.acted for given in episode.feedback),
        None if record is None else record.outcome,
        episode.muted_by is not None,
    )


def _deeds_of(episode: Episode, shift: Shift) -> Iterator[ShiftDeed]:
    """Yield what people did about an episode in a shift."""

    def deed(kind: DeedKind, at: datetime, actor: str, text: str | None) -> ShiftDeed:
        record = episode.outcome_record
        return ShiftDeed(
            kind,
            at,
            actor,
            (text or "")[:LONGEST_TEXT],
            episode.title[:LONGEST_TEXT],
            episode.asset,
            episode.id,
            None if record is None else record.outcome,
        )

    for given in episode.feedback:
        at = _done_at(given)
        if given.acted and _is_within(shift, at):
            yield deed("acted", at, given.actor, given.action or given.comment)
        elif given.comment and _is_within(shift, given.at):
            yield deed("commented", given.at, given.actor, given.comment)
    for one in episode.transitions:
        if not _is_within(shift, one.at) or one.actor == "platform":
            continue
        if one.kind == "commented":
            yield deed("commented", one.at, one.actor, one.reason)
        elif one.kind == "assigned":
            yield deed("took over", one.at, episode.assigned_to or one.actor, "")
        elif one.kind == "closed":
            yield deed("closed", one.at, one.actor, one.reason)


def _done_at(given: Feedback) -> datetime:
    return given.acted_at or given.at


def _missed(miss: ReportedMiss) -> ShiftDeed:
    return ShiftDeed(
        "missed",
        miss.at,
        miss.actor,
        miss.comment[:LONGEST_TEXT],
        miss.definition,
        miss.asset,
        None,
        None,
    )


def _is_within(shift: Shift, at: datetime | None) -> bool:
    return at is not None and shift.start <= at < shift.end


def _urgency(episode: Episode) -> tuple[bool, int, float, str]:
    return (
        episode.muted_by is not None,
        -SEVERITIES.index(episode.severity_peak or episode.severity),
        -episode.raised_at.timestamp(),
        episode.id,
    )
