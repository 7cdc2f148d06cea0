"""Stored episodes: reading and listing them; changing them with the notifications that a change
causes, composed in memory and written in one unit of work; and the reason why no evaluation ends an
open episode."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal, get_args

from alerting.definitions.alert_definition import Definition, Revision, names_asset
from alerting.definitions.asset_documents import Asset
from alerting.definitions.faults import NotFound, unknown_name
from alerting.definitions.fields.condition_fields import Conditions
from alerting.definitions.fields.definition_checks import ASSET_REMEDY
from alerting.definitions.revisions import does_not_name, out_of_service
from alerting.definitions.wording.language import translatable, with_command
from alerting.episodes.advice import opposite_advice
from alerting.episodes.episode import Episode
from alerting.episodes.evaluation_plan import TargetKey
from alerting.episodes.lifecycle import ConditionState, without_episode
from alerting.notifications.notification import Notification
from alerting.notifications.policy import Situation, next_state
from alerting.notifications.recipients import Recipient
from alerting.ports import (
    Assets,
    Conflict,
    EpisodePorts,
    Episodes,
    KindPorts,
    OutcomePorts,
    States,
    Unit,
)
from alerting.ports.use_cases import id_logger
from alerting.readings.history import duration_millis
from alerting.usecases.definitions.versions import newest_of_target, require_revision

_log = id_logger(__name__)


def require_asset(assets: Assets, name: str) -> Asset:
    """Return an asset. Raises NotFound for an unknown name, with the names that it may mean."""
    asset = assets.get(name)
    if asset is None:
        raise NotFound(
            unknown_name("asset", name, [asset.name for asset in assets.all()], ASSET_REMEDY)
        )
    return asset


def find_episode(episodes: Episodes, id: str) -> Episode:
    """Return the episode of this id, or of this unique beginning of an id (four characters or
    more).

    Raises NotFound if no id or several ids begin so.
    """
    episode = episodes.get(id)
    if episode is not None:
        return episode
    close = episodes.starting_with(id) if len(id) >= 4 else []
    if len(close) == 1:
        return close[0]
    if close:
        raise NotFound(f"{len(close)} episodes begin with {id!r}; give more of the id")
    text = translatable("there is no alarm {id}", id=repr(id))
    raise NotFound(with_command(text, "alerting episodes"))


Group = Literal["happening", "expected", "over, not acknowledged", "earlier"]


def group_of(episode: Episode) -> Group:
    """Return the group of a list to which an episode belongs. Open alarms that predict nothing are
    happening."""
    if episode.phase != "over":
        return episode.phase
    is_seen = episode.acknowledged is not None or episode.backfilled or episode.withdrawn
    return "earlier" if is_seen else "over, not acknowledged"


def in_groups(episodes: Iterable[Episode]) -> list[Episode]:
    """Return episodes group by group, each group in the given order."""
    order = get_args(Group)
    return sorted(episodes, key=lambda episode: order.index(group_of(episode)))


def episodes_of(
    platform: EpisodePorts, name: str | None, start: datetime | None, end: datetime | None
) -> list[Episode]:
    """Return the episodes that were open at some time in [start, end), newest first, without
    withdrawn ones. Raises UserError for an unknown definition name."""
    if name is not None:
        require_revision(platform.definitions, name)
    episodes = platform.episodes.find(definition=name, start=start, end=end, with_earlier=True)
    return [e for e in episodes if not e.withdrawn]


_ATTEMPTS = 20  # with pauses of half a minute altogether
_NOTIFICATION_BYTES = 600  # about


class EpisodeChanges:
    """Stored episodes as they will be after these changes: every read contains the changes composed
    so far.

    Each changed episode is written once, as the next version of the one that was read.
    """

    def __init__(self, platform: OutcomePorts) -> None:
        self._stored = platform.episodes
        self._notifications = platform.notifications
        self._read: dict[str, Episode | None] = {}
        self._changed: dict[str, Episode] = {}
        self._sizes: dict[str, int] = {}
        self._sent: dict[str, tuple[Notification, ...]] = {}
        self._added: dict[str, Notification] = {}
        self._dropped: dict[str, tuple[Notification, Notification]] = {}

    @property
    def episodes(self) -> list[Episode]:
        """Return the episodes to write."""
        return list(self._changed.values())

    def size(self) -> int:
        """Return the size (bytes) of the documents to write."""
        for id in self._changed.keys() - self._sizes.keys():
            self._sizes[id] = self._stored.size(self._changed[id])
        return sum(self._sizes.values()) + _NOTIFICATION_BYTES * len(self._added)

    def get(self, id: str) -> Episode | None:
        """Return an episode; None without one."""
        if id in self._changed:
            return self._changed[id]
        if id not in self._read:
            self._read[id] = self._stored.get(id)
        return self._read[id]

    def read_many(self, ids: Iterable[str]) -> None:
        """Read episodes at once that will be asked for one by one."""
        missing = set(ids) - self._read.keys()
        if missing:
            self._read |= dict.fromkeys(missing) | self._stored.get_many(missing)

    def find(
        self,
        definition: str,
        asset: str,
        start: datetime | None = None,
        end: datetime | None = None,
        limit: int | None = None,
    ) -> list[Episode]:
        """Return the episodes of a target raised in [start, end), newest first."""
        episodes = self._with_changes(
            self._stored.find(definition, asset, start, end, limit=limit), definition, asset
        )
        inside = [
            e
            for e in episodes
            if (start is None or e.raised_at >= start) and (end is None or e.raised_at < end)
        ]
        return sorted(inside, key=lambda e: (e.raised_at, e.id), reverse=True)[:limit]

    def live_open(self, definition: str, asset: str) -> Episode | None:
        """Return the open live episode of a target; None without one."""
        stored = self._stored.find(definition, asset, open_only=True)
        return next(
            (
                e
                for e in self._with_changes(stored, definition, asset)
                if e.condition == "open" and not e.backfilled
            ),
            None,
        )

    def _with_changes(
        self, stored: Iterable[Episode], definition: str, asset: str
    ) -> Iterable[Episode]:
        """Return stored episodes of a target as they are changed, and all others that are."""
        by_id = {e.id: e for e in stored}
        self._read |= {id: e for id, e in by_id.items() if id not in self._changed}
        by_id |= {
            id: e
            for id, e in self._changed.items()
            if (e.definition, e.asset) == (definition, asset)
        }
        return by_id.values()

    def of_episode(self, id: str) -> tuple[Notification, ...]:
        """Return the notifications of an episode."""
        is_new = id in self._changed and self._read.get(id) is None
        if id not in self._sent:
            self._sent[id] = () if is_new else self._notifications.of_episodes([id])[id]
        stored = (self._dropped[n.key][1] if n.key in self._dropped else n for n in self._sent[id])
        return (*stored, *(n for n in self._added.values() if n.episode == id))

    def raised_since(self, asset: str, since: datetime) -> list[Notification]:
        """Return notifications of raises on this asset made after this instant."""
        added = (
            n
            for n in self._added.values()
            if n.asset == asset and n.transition == "raised" and n.created_at > since
        )
        return [*self._notifications.raised_since(asset, since), *added]

    def notify(self, added: Iterable[Notification]) -> None:
        """Add notifications, which are written with the episodes."""
        self._added |= {n.key: n for n in added}

    def drop_overtaken(self, episode: Episode) -> None:
        """Drop the notifications of an ended episode that quiet hours hold back.

        A delivery that begins meanwhile is a conflict: its recipient is notified of the end, too.
        """
        sent = self.of_episode(episode.id)
        for n in self._sent[episode.id]:
            due = Situation(episode, Recipient(n.channel), "due", n.created_at, sent, waiting=n)
            after = next_state(due)
            if after.status == "dropped":
                self._dropped[n.key] = (n, after)

    def write(self, unit: Unit) -> None:
        """Write episodes and notifications in a unit of work. Raises Conflict if another process
        has changed one of them."""
        if self._changed:
            self._stored.write([*self._changed.values()], unit)
        self._notifications.add([*self._added.values()], unit)
        self._notifications.change([*self._dropped.values()], unit)

    def add(self, episode: Episode) -> None:
        """Add a new episode."""
        self._read.setdefault(episode.id, None)
        self._store_episode(episode, 0)

    def update(self, id: str, change: Callable[[Episode], Episode]) -> Episode:
        """Apply a change to the stored episode, and write it in one unit of work with the
        notifications that it adds and the writes of `write_beside`.

        After a concurrent write the change is applied to the newer version. Raises LookupError if
        the episode does not exist, and Conflict if others are faster again and again.
        """
        episode = self.get(id)
        if episode is None:
            raise LookupError(f"there is no episode {id!r}")
        changed = change(episode)
        if changed != episode:
            read = self._read.get(id)
            self._store_episode(changed, 0 if read is None else read.version)
        return self._changed.get(id, episode)

    def _store_episode(self, episode: Episode, version: int) -> None:
        self._changed[episode.id] = replace(episode, version=version + 1)
        self._sizes.pop(episode.id, None)

    def log(self) -> None:
        """Log the transitions that were added."""
        for episode in self._changed.values():
            read = self._read.get(episode.id)
            for transition in episode.transitions[len(read.transitions) if read else 0 :]:
                _log.info(
                    "episode %s",
                    transition.kind,
                    definition=episode.definition,
                    asset=episode.asset,
                    episode=episode.id,
                )


def update(
    platform: OutcomePorts,
    id: str,
    change: Callable[[Episode, EpisodeChanges], Episode],
    write_beside: Callable[[Unit], None] | None = None,
) -> Episode:
    """Apply a change to the stored episode, and write it together with the notifications that it
    adds, if any, and with what `write_beside` writes in the same unit of work.

    After a concurrent write it is applied to the newer version. Raises LookupError if there is no
    such episode, and Conflict if others are faster again and again.
    """
    attempt = 0
    while True:
        changes = EpisodeChanges(platform)
        after = changes.update(id, lambda episode: change(episode, changes))  # noqa: B023 - called at once
        if not changes.episodes:
            return after
        try:
            with platform.unit_of_work.begin(attempt) as unit:
                changes.write(unit)
                if write_beside is not None:
                    write_beside(unit)
        except Conflict:
            attempt += 1
            if attempt == _ATTEMPTS:
                raise
            continue
        changes.log()
        return after


_BEHIND = timedelta(minutes=15)
"""How far an evaluation may be behind its cadence before nothing is evaluated."""


def why_not_in_service(revision: Revision | None, asset: str) -> str | None:
    """Return why the newest revision of a definition is not evaluated on an asset; None if it
    is."""
    if revision is None:
        return translatable("there is no definition of this name any more")
    if revision.definition.state != "active":
        return out_of_service(revision)
    return None if names_asset(revision.definition, asset) else does_not_name(revision, asset)


def without_asset(asset: str) -> str:
    """Return the reason of the end of an episode whose asset does not exist."""
    return translatable("there is no asset {asset} any more", asset=asset)


def why_not_evaluated(platform: KindPorts, episode: Episode, now: datetime) -> str | None:
    """Return why no evaluation ends an open episode now; None if one does."""
    revision = newest_of_target(platform.definitions, episode.definition)
    why = why_not_in_service(revision, episode.asset)
    if why is not None or revision is None:
        return why
    if platform.assets.get(episode.asset) is None:
        return translatable("the asset {asset} is not there, or faulty", asset=episode.asset)
    state = platform.states.load_many([(episode.definition, episode.asset)]).state(0)
    definition = revision.definition
    behind = _BEHIND + 3 * definition.schedule.every
    why = why_unknown(state, behind, now, is_bounded=episode.is_prediction)
    ends = closable_from(definition, state)
    if why is not None or ends is None or now < ends:
        return why
    newest = state.carried.last_reading_at if state and state.carried else ends
    return translatable("no reading has come since {when}", when=newest)


def closable_from(definition: Definition, state: ConditionState | None) -> datetime | None:
    """Return from when a person may end an open alarm of a condition although it is true, if no
    further reading comes; None for a kind that carries no reading."""
    if state is None or state.carried is None or not isinstance(definition, Conditions):
        return None
    combination = definition.combination
    conditions = (definition,) if combination is None else combination.leaves()
    wait = max(condition.stale_after for condition in conditions)
    return state.carried.last_reading_at + max(wait, _BEHIND + 3 * definition.schedule.every)


def why_unknown(
    state: ConditionState | None, behind: timedelta, now: datetime, *, is_bounded: bool
) -> str | None:
    """Return why the state of a target does not tell whether its open episode goes on; None if it
    does. `behind`: how far its evaluation may be behind; `is_bounded`: whether the episode ends in
    time even if nothing is known, as predictions do."""
    if state is None or state.raised_at is None:
        return translatable("no evaluation knows of it")
    if state.watermark < now - behind:
        return translatable("nothing has been evaluated since {when}", when=state.watermark)
    if state.unknown_reason is not None and not is_bounded:
        return translatable("it is not known now: {reason}", reason=state.unknown_reason)
    return None


def forget_open(
    states: States,
    key: TargetKey,
    revision: Revision | None,
    at: datetime,
    unit: Unit,
    *,
    by_hand: bool = False,
) -> None:
    """Write the state of a target without its open episode, which ends at an instant, so that a new
    episode can be raised; `by_hand`: by a further reading only. Raises Conflict if an evaluation is
    faster."""
    before = states.load_many([key])
    state = before.state(0)
    if state is None or state.raised_at is None:
        return
    after = before.take([0])
    ended = without_episode(state, at)
    if by_hand and ended.carried is not None:
        ended = replace(ended, carried=ended.carried.after_end(at))
    after.write_state(0, ended)
    every = 0 if revision is None else duration_millis(revision.definition.schedule.every)
    states.advance(before, after, unit, every)


def opposite_open(episodes: Episodes, episode: Episode) -> Sequence[str]:
    """Return sentences on open alerts of the asset with the opposite advice."""
    if episode.advice is None or not episode.advice.helps:
        return ()
    return opposite_advice(episodes.find(asset=episode.asset, open_only=True)).get(episode.id, ())
