"""Read what a shift hands over, as it is now or as it was signed, and what came since."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from alerting.definitions.model import Revision
from alerting.episodes.episode import Episode
from alerting.operators.handovers import Handover, ShiftNote, new_handover
from alerting.operators.shift_summary import (
    ShiftAlarm,
    ShiftDeed,
    ShiftSummary,
    shift_alarm,
    summarise_shift,
)
from alerting.operators.silences import Silence
from alerting.ports import Definitions, Episodes, HandoverPorts
from alerting.usecases.handover.choose import ChosenShift
from alerting.usecases.now.known_plant import KnownPlant
from alerting.usecases.silences.in_force import silences_between

QUESTIONS_FROM = timedelta(days=3)
"""Unanswered alarms of this time before a shift are left to it."""
_MOST_READ = 500
_MOST_PARTS = 50


class NoteOfPart(NamedTuple):
    """A note, and the part of the plant in whose hand-over it stands; None: of the whole plant."""

    part: str | None
    note: ShiftNote


@dataclass(frozen=True)
class ShiftAccount:
    """What a shift hands over.

    `handover`: as stored, or new. `summary`: as it was signed, else as it is now. `notes`: of the
    part and of the whole plant. `later_alarms`, `later_deeds`: what came after the signature, or is
    different now. `before`: the stored hand-over of the shift before, None without one.
    """

    chosen: ChosenShift
    handover: Handover
    summary: ShiftSummary
    notes: tuple[NoteOfPart, ...]
    later_alarms: tuple[ShiftAlarm, ...]
    later_deeds: tuple[ShiftDeed, ...]
    before: Handover | None


def read_shift(
    platform: HandoverPorts, plant: KnownPlant, chosen: ChosenShift, now: datetime
) -> ShiftAccount:
    """Return what a shift hands over."""
    handover = find_handover(platform, chosen)
    summary = present_summary(platform, plant, chosen, now)
    signed = handover.signed
    same_time = platform.handovers.find(
        start=chosen.shift.start,
        end=chosen.shift.end,
        limit=_MOST_PARTS,
        parts=None if chosen.part is None else (chosen.part, None),
    )
    notes = [
        NoteOfPart(one.part, note)
        for one in same_time
        for note in one.notes
        if chosen.shift.start <= note.at < chosen.shift.end or one.id == handover.id
    ]
    notes.sort(key=lambda placed: placed.note.at)
    before = (
        None
        if chosen.previous is None
        else platform.handovers.get(new_handover(chosen.part, chosen.previous).id)
    )
    return ShiftAccount(
        chosen,
        handover,
        signed or summary,
        tuple(notes),
        () if signed is None else _later_alarms(platform.episodes, signed, summary),
        () if signed is None else tuple(deed for deed in summary.deeds if deed not in signed.deeds),
        before,
    )


def find_handover(platform: HandoverPorts, chosen: ChosenShift) -> Handover:
    """Return the stored hand-over of a shift, or a new one."""
    fresh = new_handover(chosen.part, chosen.shift)
    return platform.handovers.get(fresh.id) or fresh


def present_summary(
    platform: HandoverPorts, plant: KnownPlant, chosen: ChosenShift, now: datetime
) -> ShiftSummary:
    """Return what a shift hands over, as it is now."""
    shift = chosen.shift
    assets = chosen.assets
    episodes = {
        one.id: one
        for found in (
            platform.episodes.find(open_only=True, limit=_MOST_READ, assets=assets),
            platform.episodes.find(
                start=shift.start - QUESTIONS_FROM,
                end=shift.end,
                limit=_MOST_READ,
                assets=assets,
            ),
        )
        for one in found
    }
    misses = platform.misses.for_interval(
        shift.start - timedelta(days=7), now, limit=_MOST_READ, assets=assets
    )
    shelves = [s for s in platform.shelves.in_force() if assets is None or s.asset in assets]
    revisions = _revisions_since(platform.definitions, plant, chosen)
    silences = _silences_near(platform, chosen, now)
    return summarise_shift(shift, now, episodes.values(), misses, shelves, revisions, silences)


def _silences_near(platform: HandoverPorts, chosen: ChosenShift, now: datetime) -> list[Silence]:
    """Return the silences of the part that are in force, or begin within the length of a shift."""
    length = chosen.shift.end - chosen.shift.start
    found = silences_between(platform, now, now + length)
    there = [one for one in found.silences if one.phase(now) != "over"]
    if chosen.part is None or chosen.assets is None:
        return there
    about = {*found.line(chosen.part), *chosen.assets}
    return [one for one in there if one.scope.part is None or one.scope.part in about]


def _revisions_since(
    definitions: Definitions, plant: KnownPlant, chosen: ChosenShift
) -> Iterable[Revision]:
    changed = [name for name, newest in plant.latest.items() if newest.at >= chosen.shift.start]
    if chosen.part is not None:
        own = {t.definition for t in plant.targets if plant.parts.get(t.asset) == chosen.part}
        changed = [name for name in changed if name in own]
    if not changed:
        return ()
    return [one for history in definitions.histories(changed).values() for one in history]


def _later_alarms(
    episodes: Episodes, signed: ShiftSummary, summary: ShiftSummary
) -> tuple[ShiftAlarm, ...]:
    """Return the alarms that are new since a signature, or different now."""
    stored: dict[str, Episode] = episodes.get_many([alarm.episode for alarm in signed.alarms])
    now = {id: shift_alarm(episode) for id, episode in stored.items()}
    now |= {alarm.episode: alarm for alarm in summary.alarms}
    return tuple(alarm for alarm in now.values() if alarm not in signed.alarms)
