"""Hand-overs of shifts: notes, signatures of the person who leaves and the one who comes, and what
was signed."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.episodes.episode import ActorStamp
from alerting.operators.shift_summary import ShiftSummary
from alerting.operators.shifts import Shift

LONGEST_NOTE = 2_000
MOST_NOTES = 200
Side = Literal["leaving", "coming"]


@dataclass(frozen=True)
class ShiftNote:
    """A note of a shift, perhaps on an asset or an episode. Never changed: a correction is another
    note."""

    text: str
    actor: str
    at: datetime
    asset: str | None = None
    episode: str | None = None


@dataclass(frozen=True)
class Handover:
    """The hand-over of one shift of a part of the plant (None: of the whole plant).

    `left`, `taken`: signatures of the person who leaves and of the one who comes. `signed`: what
    the first of them signed.
    """

    id: str
    part: str | None
    shift: str
    start: datetime
    end: datetime
    notes: tuple[ShiftNote, ...] = ()
    left: ActorStamp | None = None
    taken: ActorStamp | None = None
    signed: ShiftSummary | None = None
    version: int = 1


def new_handover(part: str | None, shift: Shift) -> Handover:
    """Return the hand-over of a shift without notes and signatures."""
    key = f"{part or ''}|{shift.name}|{shift.start.isoformat()}|{shift.end.isoformat()}"
    id = hashlib.sha256(f"handover|{key}".encode()).hexdigest()[:16]
    return Handover(id, part, shift.name, shift.start, shift.end)


def add_note(handover: Handover, note: ShiftNote) -> Handover:
    """Return the hand-over with one more note. Raises UserError for an empty or too long text, for
    too many notes, and before the shift begins."""
    if not note.text.strip():
        raise UserError(translatable("the note is empty: write what the next shift must know"))
    if len(note.text) > LONGEST_NOTE:
        raise UserError(
            translatable(
                "the note has {length} characters; {most} at most",
                length=str(len(note.text)),
                most=str(LONGEST_NOTE),
            )
        )
    _require_begun(handover, note.at)
    if len(handover.notes) >= MOST_NOTES:
        raise UserError(
            translatable("this shift has {most} notes, and takes no more", most=str(MOST_NOTES))
        )
    return replace(handover, notes=(*handover.notes, note))


def sign(handover: Handover, side: Side, stamp: ActorStamp, summary: ShiftSummary) -> Handover:
    """Return the hand-over with a signature; unchanged if this person has signed it so.

    Raises UserError before the shift begins, if another person signed, and if the same person
    signed the other side.
    """
    own = handover.left if side == "leaving" else handover.taken
    other = handover.taken if side == "leaving" else handover.left
    if own is not None:
        if own.actor == stamp.actor:
            return handover
        raise UserError(
            translatable("{person} has signed this already; write a note", person=own.actor)
        )
    _require_begun(handover, stamp.at)
    if other is not None and other.actor == stamp.actor:
        raise UserError(
            translatable("you have signed the other side: another person must sign this one")
        )
    signed = replace(handover, signed=handover.signed or summary)
    return replace(signed, left=stamp) if side == "leaving" else replace(signed, taken=stamp)


def _require_begun(handover: Handover, at: datetime) -> None:
    if at < handover.start:
        raise UserError(translatable("this shift has not begun yet"))
