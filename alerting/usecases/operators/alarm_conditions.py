"""Alarms as other systems show them: the present state of each, its event, and what changed.

The terms are those of OPC UA Part 9, which follows ISA-18.2. An alarm is a target; its newest
episode is its state. An older episode that no operator has acknowledged stays as a branch.
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from types import MappingProxyType

from alerting.definitions.model import Severity
from alerting.definitions.wording.language import ENGLISH, Language
from alerting.episodes.episode import ActorStamp, Episode
from alerting.operators.shelves import Shelf
from alerting.ports import EpisodePorts, MutingPorts
from alerting.reporting.base.sentences import headline, sentence
from alerting.reporting.base.times import dated_times

MOST_ALARMS = 2000
"""Episodes that are told at once; those beyond are counted, and told when others have ended."""
MOST_UNACKNOWLEDGED = 200
"""Episodes that are over and not acknowledged, the newest ones, among them."""
MOST_RECENT_EVENTS = 16
"""Events of an episode by which it can be answered: the newest ones."""
SEVERITY_NUMBERS: Mapping[Severity, int] = MappingProxyType(
    {"low": 200, "medium": 450, "high": 700, "critical": 950}
)
"""Severity from 1 to 1000, in the bands that OPC UA calls low, medium, high and urgent."""
LONGEST_MESSAGE = 1000
_ANSWERS = ("commented", "acknowledged", "confirmed")
_EPISODE_BYTES = 12
_STATE_BYTES = 8


@dataclass(frozen=True)
class AlarmState:
    """State of the alarm of one episode.

    `is_branch`: a newer episode of the target is its state. `comment` and `commented_by`: the last
    text of a person. `changed_at`: when the state was reached. `shelved_until`: the end of the
    shelf, None if it is not shelved. `suppressed`: by design; `silenced`: by a silence of a part of
    the plant. `is_predicted`: the problem is expected, and has not come.
    """

    episode: str
    definition: str
    asset: str
    title: str
    message: str
    severity: Severity
    raised_at: datetime
    changed_at: datetime
    closed_at: datetime | None
    acknowledged: ActorStamp | None
    confirmed: ActorStamp | None
    needs_answer: bool
    is_predicted: bool
    suppressed: bool
    silenced: bool
    comment: str = ""
    commented_by: str = ""
    commented_at: datetime | None = None
    is_branch: bool = False
    shelved_until: datetime | None = None
    is_shelved: bool = False
    out_of_service: bool = False

    @property
    def target(self) -> tuple[str, str]:
        """Return definition and asset."""
        return self.definition, self.asset

    @property
    def is_active(self) -> bool:
        """Return whether the alarm is on."""
        return self.closed_at is None

    @property
    def is_acknowledged(self) -> bool:
        """Return whether no acknowledgement is needed."""
        return not self.needs_answer

    @property
    def is_retained(self) -> bool:
        """Return whether operators still need to see it: it is active, unacknowledged or muted."""
        if self.is_branch:
            return self.needs_answer
        return self.is_active or self.needs_answer or self.is_shelved or self.out_of_service

    @property
    def event_id(self) -> bytes:
        """Return the id of the event that tells this state: the same in every process."""
        facts = (
            *(self.message, self.severity, self.is_active, self.needs_answer, self.is_branch),
            *(self.confirmed, self.is_predicted, self.suppressed, self.silenced),
            *(self.comment, self.commented_by, self.commented_at),
            *(self.is_shelved, self.shelved_until, self.out_of_service),
        )
        state = hashlib.sha256(repr(facts).encode()).digest()[:_STATE_BYTES]
        return hashlib.sha256(self.episode.encode()).digest()[:_EPISODE_BYTES] + state


def alarm_state(
    episode: Episode, zone: tzinfo = UTC, language: Language = ENGLISH
) -> AlarmState | None:
    """Return the state of an episode without its shelves; None for one found in past times.

    Texts are in the language of the plant, with times of its zone.
    """
    if episode.backfilled:
        return None
    answer = next((t for t in reversed(episode.transitions) if t.kind in _ANSWERS), None)
    text = f"{episode.title}: {sentence(dated_times(headline(episode), zone, language))}"
    muted_by = episode.muted_by or ""
    suppressed = muted_by.startswith("suppression:")
    return AlarmState(
        episode=episode.id,
        definition=episode.definition,
        asset=episode.asset,
        title=episode.title,
        message=text[:LONGEST_MESSAGE],
        severity=episode.severity,
        raised_at=episode.raised_at,
        changed_at=max((t.at for t in episode.transitions), default=episode.detected_at),
        closed_at=episode.closed_at if episode.condition == "closed" else None,
        acknowledged=episode.acknowledged,
        confirmed=episode.confirmed,
        needs_answer=episode.acknowledged is None and not episode.withdrawn,
        is_predicted=episode.phase == "expected",
        suppressed=suppressed,
        silenced=bool(muted_by) and not suppressed,
        comment=language.translate(answer.reason)[:LONGEST_MESSAGE] if answer else "",
        commented_by=answer.actor if answer else "",
        commented_at=answer.at if answer else None,
    )


@dataclass(frozen=True)
class AlarmsRead:
    """What was read of the store. `left_out`: episodes beyond the most that are told."""

    states: tuple[AlarmState, ...]
    shelves: tuple[Shelf, ...]
    left_out: int = 0


class AlarmBook:
    """The states that were told, from which follows what is to be told next."""

    def __init__(self) -> None:
        self._read: dict[str, AlarmState] = {}
        self._told: dict[str, AlarmState] = {}
        self._events: dict[str, deque[bytes]] = {}
        self._shelves: Sequence[Shelf] = ()

    @property
    def episodes(self) -> frozenset[str]:
        """Return the ids of the episodes that are known."""
        return frozenset(self._read)

    def present(self) -> list[AlarmState]:
        """Return the states that operators still need to see, those raised first first."""
        found = [one for one in self._told.values() if one.is_retained]
        return sorted(found, key=lambda one: (one.raised_at, one.episode))

    def find(self, definition: str, asset: str) -> list[AlarmState]:
        """Return the told states of a target, the newest first."""
        found = [one for one in self._told.values() if one.target == (definition, asset)]
        return sorted(found, key=lambda one: one.raised_at, reverse=True)

    def find_event(self, target: tuple[str, str], event_id: bytes) -> AlarmState | None:
        """Return the present state of the episode of this target that an event told; None for an
        event that is unknown, or too old."""
        for one in self.find(*target):
            if event_id in self._events[one.episode]:
                return one
        return None

    def note_shelves(self, shelves: Sequence[Shelf]) -> None:
        """Take the shelves in force."""
        self._shelves = tuple(shelves)

    def note(self, states: Collection[AlarmState], *, all_of_them: bool = False) -> None:
        """Take newly read states. `all_of_them`: those that are not among them are stored no
        longer."""
        self._read |= {one.episode: one for one in states}
        if all_of_them:
            self._forget(self._read.keys() - {one.episode for one in states})

    def changes(self, now: datetime) -> list[AlarmState]:
        """Return the states that differ from those told, in their order, and count them as told.

        An alarm that is over and answered is told once, and then forgotten.
        """
        present = _with_targets(self._read.values(), self._shelves, now)
        changed = list[AlarmState]()
        for one in present:
            before = self._told.get(one.episode)
            if before is not None and before.event_id == one.event_id:
                continue
            if before is None and not one.is_retained:
                continue
            if before is not None and one.changed_at <= before.changed_at:
                one = replace(one, changed_at=max(now, before.changed_at))  # noqa: PLW2901
            self._told[one.episode] = one
            recent = self._events.setdefault(one.episode, deque(maxlen=MOST_RECENT_EVENTS))
            recent.append(one.event_id)
            changed.append(one)
        self._forget({one.episode for one in present if not one.is_retained})
        return sorted(changed, key=lambda one: (one.changed_at, one.raised_at, one.episode))

    def _forget(self, over: set[str]) -> None:
        for episode in over:
            self._read.pop(episode, None)
            self._told.pop(episode, None)
            self._events.pop(episode, None)


def _with_targets(
    states: Iterable[AlarmState], shelves: Iterable[Shelf], now: datetime
) -> list[AlarmState]:
    """Return states with the shelves that mute now, each target's older ones as branches."""
    by_target = defaultdict[tuple[str, str], list[AlarmState]](list)
    for one in states:
        by_target[one.target].append(one)
    muting = defaultdict[tuple[str, str], list[Shelf]](list)
    for shelf in shelves:
        if shelf.mutes(now):
            muting[shelf.definition, shelf.asset].append(shelf)
    found = list[AlarmState]()
    for target, of_target in by_target.items():
        newest = max(of_target, key=lambda one: (one.raised_at, one.episode))
        found += [
            _with_shelves(one, muting[target]) if one is newest else replace(one, is_branch=True)
            for one in of_target
        ]
    return found


def _with_shelves(one: AlarmState, shelves: Sequence[Shelf]) -> AlarmState:
    shelf = next((shelf for shelf in shelves if shelf.kind == "shelved"), None)
    out_of_service = any(shelf.kind == "out_of_service" for shelf in shelves)
    begun = max((shelf.since for shelf in shelves), default=one.changed_at)
    return replace(
        one,
        is_shelved=shelf is not None,
        shelved_until=None if shelf is None else shelf.until,
        out_of_service=out_of_service,
        silenced=one.silenced and not shelves,
        changed_at=max(one.changed_at, begun),
    )


@dataclass(frozen=True)
class AlarmView:
    """Which alarms are read, and the zone and language of their texts."""

    zone: tzinfo = UTC
    language: Language = ENGLISH
    wanted: Callable[[Episode], bool] = lambda _: True

    def states(self, episodes: Iterable[Episode]) -> tuple[AlarmState, ...]:
        """Return the states of episodes that are wanted."""
        made = (alarm_state(one, self.zone, self.language) for one in episodes if self.wanted(one))
        return tuple(one for one in made if one is not None)


def read_alarms(platform: MutingPorts, before: Iterable[str], view: AlarmView) -> AlarmsRead:
    """Read all that is open, unacknowledged or shelved, and the episodes that were read before."""
    shelves = tuple(platform.shelves.in_force())
    still_open = platform.episodes.find(open_only=True)
    unanswered = platform.episodes.over_unacknowledged(MOST_UNACKNOWLEDGED)
    shelved = [
        one
        for shelf in shelves[:MOST_ALARMS]
        for one in platform.episodes.find(shelf.definition, shelf.asset, limit=1)
    ]
    found = {one.id: one for one in (*still_open, *unanswered, *shelved)}
    rest = platform.episodes.get_many(set(before) - found.keys())
    states = view.states(found.values())
    chosen = states[:MOST_ALARMS]
    return AlarmsRead((*chosen, *view.states(rest.values())), shelves, len(states) - len(chosen))


def read_changed(
    platform: EpisodePorts, ids: Iterable[str], view: AlarmView
) -> tuple[AlarmState, ...]:
    """Read the states of these episodes."""
    return view.states(platform.episodes.get_many(set(ids)).values())
