"""Reconcile episodes evaluated again with late data and stored episodes. Pure functions of stored data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from alerting.definitions.model import Severity
from alerting.episodes.episode import Episode, Transition, TransitionKind
from alerting.episodes.lifecycle import ConditionState, Step, worse

LATE_DATA = "late data"
_ACTOR = "platform"


@dataclass(frozen=True)
class EvaluatedEpisode:
    """One episode as evaluated with all data. `closed_at` None: still open. `severity`: now, or at its end; None without levels.

    `whole` False: it was raised before the reprocessed interval, and nothing new is known of its beginning. `peak` is None if
    the severities that it had there are not known.
    """

    raised_at: datetime
    closed_at: datetime | None = None
    severity: Severity | None = None
    peak: Severity | None = None
    whole: bool = True


def evaluated_episodes(base: ConditionState, steps: Sequence[Step]) -> list[EvaluatedEpisode]:
    """Return the re-evaluated episodes that began at `base` or in the steps after it, oldest first."""
    found: dict[datetime, EvaluatedEpisode] = {}
    if base.raised_at is not None:
        found[base.raised_at] = EvaluatedEpisode(base.raised_at, severity=base.severity, peak=base.severity_peak, whole=False)
    for step in steps:
        if step.kind == "raised":
            found[step.at] = EvaluatedEpisode(step.at, severity=step.severity, peak=step.severity)
        elif step.kind == "closed":
            found[step.raised_at] = replace(found[step.raised_at], closed_at=step.at)
        elif step.kind == "severity" and step.severity is not None:
            spell = found[step.raised_at]
            peak = worse(spell.peak, step.severity) if spell.peak else None
            found[step.raised_at] = replace(spell, severity=step.severity, peak=peak)
    return list(found.values())


def match(spells: Sequence[EvaluatedEpisode], episodes: Sequence[Episode]) -> dict[datetime, Episode]:
    """Match re-evaluated episodes, by their raise, with stored ones; one without a match is new.

    A re-evaluated episode is the stored one that began at the same instant, else one that overlaps it. Live ones come before
    withdrawn ones, then an open one for an open episode, then the earliest. Each stored episode matches at most once. Late data
    may have moved its beginning, so that one re-evaluated episode begins there and another where it was raised. It is then the
    latter, whose id it has.
    """
    found: dict[datetime, Episode] = {}
    raised = {spell.raised_at for spell in spells}
    for spell in spells:
        own = [e for e in episodes if e.raised_at == spell.raised_at]
        same = own + [e for e in episodes if began(e) == spell.raised_at and e.raised_at not in raised]
        if same:
            found[spell.raised_at] = min(same, key=lambda e: (e.withdrawn, began(e)))
    for withdrawn in (False, True):
        for spell in spells:
            taken = {e.id for e in found.values()}
            near = [
                e for e in episodes if e.id not in taken and e.withdrawn == withdrawn and not e.backfilled and overlap(spell, e)
            ]
            if near and spell.raised_at not in found:
                open_first = spell.closed_at is None
                found[spell.raised_at] = min(near, key=lambda e: ((e.closed_at is None) != open_first, began(e)))
    return found


def began(episode: Episode) -> datetime:
    """Return when an episode began, with all data known by now."""
    return episode.condition_started_at or episode.raised_at


def overlap(spell: EvaluatedEpisode, episode: Episode) -> bool:
    """Return whether both have an instant in common."""
    starts_before_end = episode.closed_at is None or spell.raised_at < episode.closed_at
    return starts_before_end and (spell.closed_at is None or min(episode.raised_at, began(episode)) < spell.closed_at)


@dataclass(frozen=True)
class Reprocessed:
    """One episode in an interval reprocessed from `base` by `steps` up to `horizon`; before, evaluated to `until`."""

    raised_at: datetime
    base: ConditionState
    steps: Sequence[Step]
    until: datetime
    horizon: datetime

    def by(self, instant: datetime) -> EvaluatedEpisode:
        """Return the episode as known by an instant, which is not before its raise."""
        spells = evaluated_episodes(self.base, [step for step in self.steps if step.at <= instant])
        return next(spell for spell in spells if spell.raised_at == self.raised_at)


def corrected(episode: Episode, judged: Reprocessed, at: datetime) -> Episode:
    """Return the episode with the corrections of reprocessing; unchanged where these were known.

    The comparison ends where the earlier evaluation ended: later changes are no corrections. Changes that another run made
    after the horizon remain, as do identity, raise, evidence and feedback.
    """
    reached = _reached(episode, judged.until)
    spell, final = judged.by(reached), judged.by(judged.horizon)
    words: list[str] = []
    after = episode
    if spell.whole and spell.raised_at != began(episode):
        words.append(f"it began at {spell.raised_at.isoformat()}")
        after = replace(after, condition_started_at=spell.raised_at if spell.raised_at != episode.raised_at else None)
    if episode.withdrawn:
        words.append("it was found again")
        after = replace(after, withdrawn=False, late_data_status=None, outcome_due_at=at if episode.valid_until else None)
    seen_further = reached > judged.horizon and final.closed_at is None and not episode.withdrawn
    if not seen_further:
        ends_later = episode.closed_at is not None and spell.closed_at is None and final.closed_at is not None
        after, told = _with_severity(after, final if ends_later else spell)
        words += told
    if words:
        after = _noted(after, "corrected", at, f"{LATE_DATA}: {'; '.join(words)}")
    return after if seen_further else _with_end(after, spell.closed_at, final.closed_at, at)


def _reached(episode: Episode, until: datetime) -> datetime:
    """Return up to where an episode was evaluated: to `until`, or further by another run.

    That run is still at work, or was killed before it recorded its progress.
    """
    changes = [t.at for t in episode.transitions if t.kind == "severity"]
    return max([until, *changes, *([episode.closed_at] if episode.closed_at else [])])


def _with_severity(episode: Episode, spell: EvaluatedEpisode) -> tuple[Episode, list[str]]:
    if spell.severity is None:
        return episode, []
    words = []
    peak = spell.peak or worse(episode.severity_peak, spell.severity)
    if spell.severity != episode.severity:
        words.append(f"severity {episode.severity} → {spell.severity}")
    if peak != episode.severity_peak:
        words.append(f"worst {episode.severity_peak} → {peak}")
    return replace(episode, severity=spell.severity, severity_peak=peak), words


def _with_end(episode: Episode, end: datetime | None, final: datetime | None, at: datetime) -> Episode:
    """Return the episode with its corrected end. `end`: as far as it was evaluated before; `final`: with all since then."""
    if episode.closed_at in (end, final):
        return episode
    if episode.closed_at is None and end is not None:
        ended = replace(episode, condition="closed", closed_at=end)
        return _noted(ended, "closed", at, f"{LATE_DATA}: it was over at {end.isoformat()}")
    if final is None:
        was = episode.closed_at.isoformat() if episode.closed_at else ""
        again = replace(episode, condition="open", closed_at=None)
        return _noted(again, "reopened", at, f"{LATE_DATA}: it was not over at {was}")
    moved = replace(episode, condition="closed", closed_at=final)
    return _noted(moved, "corrected", at, f"{LATE_DATA}: it was over at {final.isoformat()}")


def withdrawn(episode: Episode, at: datetime, part_of: Episode | None = None) -> Episode:
    """Return an episode that reprocessing did not find again as withdrawn, with all its records."""
    if episode.withdrawn:
        return episode
    what = "not found again" if part_of is None else f"a part of episode {part_of.id}, which began before"
    gone = replace(
        episode,
        withdrawn=True,
        late_data_status="refuted",
        condition="closed",
        closed_at=episode.closed_at or at,
        outcome_due_at=None,
    )
    return _noted(gone, "corrected", at, f"{LATE_DATA}: {what}")


def taken_over(episode: Episode, part: Episode) -> Episode:
    """Return the episode with the operator actions of another one that turned out to be a part of it."""
    return replace(
        episode,
        acknowledged=episode.acknowledged or part.acknowledged,
        confirmed=episode.confirmed or part.confirmed,
        assigned_to=episode.assigned_to or part.assigned_to,
    )


def _noted(episode: Episode, kind: TransitionKind, at: datetime, reason: str) -> Episode:
    transition = Transition(kind, at, _ACTOR, reason)
    return replace(episode, transitions=(*episode.transitions, transition))
