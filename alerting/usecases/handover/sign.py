"""Write notes of a shift, and sign its hand-over."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.wording.language import template, translatable
from alerting.episodes.episode import ActorStamp
from alerting.operators.actions import permit
from alerting.operators.handovers import Handover, ShiftNote, Side, add_note, sign
from alerting.ports import HandoverPorts
from alerting.usecases.episodes.store import find_episode
from alerting.usecases.handover.choose import ChosenShift
from alerting.usecases.handover.read import find_handover, present_summary
from alerting.usecases.now.known_plant import KnownPlant
from alerting.usecases.operators.operate import Actor

_ATTEMPTS = 20


def write_note(
    platform: HandoverPorts,
    chosen: ChosenShift,
    text: str,
    actor: Actor,
    at: datetime,
    asset: str | None = None,
    episode: str | None = None,
) -> Handover:
    """Store a note of a shift; the same note twice is one. Raises UserError for an empty or too
    long one, NotFound for an unknown asset or episode."""
    permit("comment", actor.role)
    if asset is not None:
        is_here = asset in chosen.assets if chosen.assets is not None else _exists(platform, asset)
        if not is_here:
            raise NotFound(translatable("there is no asset “{name}”", name=asset))
    about = None if episode is None else find_episode(platform.episodes, episode).id
    note = ShiftNote(text.strip(), actor.name, at, asset, about)

    def change(current: Handover) -> Handover:
        return current if _is_repeated(current, note) else add_note(current, note)

    stored, changed = _update(platform, chosen, change)
    if changed:
        what = template("shift note written")
        platform.audit.add(actor.name, what, _subject(stored), at, after=note.text)
    return stored


def sign_handover(
    platform: HandoverPorts,
    plant: KnownPlant,
    chosen: ChosenShift,
    side: Side,
    actor: Actor,
    at: datetime,
) -> Handover:
    """Sign the hand-over of a shift: as the person who leaves, or the one who comes. Idempotent.

    Raises UserError if another person signed, or the same one the other side, and before the shift
    begins.
    """
    permit("comment", actor.role)
    summary = present_summary(platform, plant, chosen, at)
    stamp = ActorStamp(actor.name, at)
    stored, changed = _update(platform, chosen, lambda now: sign(now, side, stamp, summary))
    if changed:
        what = template("shift handed over") if side == "leaving" else template("shift taken over")
        after = {"open": summary.open_count, "unanswered": summary.questions}
        platform.audit.add(actor.name, what, _subject(stored), at, after=after)
    return stored


def _update(
    platform: HandoverPorts, chosen: ChosenShift, change: Callable[[Handover], Handover]
) -> tuple[Handover, bool]:
    """Store a changed hand-over; return it, and whether it changed.

    Raises UserError if its document is faulty, or if others change it again and again.
    """
    for _ in range(_ATTEMPTS):
        current = find_handover(platform, chosen)
        wanted = change(current)
        if wanted == current:
            return current, False
        is_new = current.version == 1 and platform.handovers.get(current.id) is None
        if is_new and platform.handovers.insert(wanted):
            return wanted, True
        following = replace(wanted, version=current.version + 1)
        if not is_new and platform.handovers.replace(following):
            return following, True
    raise UserError(translatable("the hand-over could not be stored: try again"))


def _is_repeated(handover: Handover, note: ShiftNote) -> bool:
    """Return whether the newest note is the same: a form that was sent twice."""
    newest = handover.notes[-1] if handover.notes else None
    return newest is not None and replace(newest, at=note.at) == note


def _exists(platform: HandoverPorts, asset: str) -> bool:
    return platform.assets.get(asset) is not None


def _subject(handover: Handover) -> str:
    about = " ".join(part for part in (handover.part, handover.shift) if part)
    return f"{about or 'plant'} {handover.start.isoformat(timespec='minutes')}"
