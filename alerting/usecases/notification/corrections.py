"""One correction of a prediction whose problem is known only after its recipients were told that it is over."""

from datetime import datetime

from alerting.definitions.model import Definition
from alerting.episodes.episode import Episode
from alerting.episodes.reconciliation import is_known_late
from alerting.usecases.episodes.changes import EpisodeChanges
from alerting.usecases.notification.routes import change_notifications


def correct_if_known_late(changes: EpisodeChanges, definition: Definition, episode: Episode, as_of: datetime) -> None:
    """Add the correction, once. None while a continuation is happening: its recipients know it already."""
    if not is_known_late(episode) or episode.closed_at is None or episode.outcome_record is None:
        return
    following = changes.find(episode.definition, episode.asset, start=episode.closed_at, end=as_of)
    if any(e.continues == episode.id and e.happening_at is not None and not e.withdrawn for e in following):
        return
    at = episode.outcome_record.problem_at
    reason = f"it came after all{f', {at.isoformat()}' if at else ''}; that was known only after the predicted time"
    changes.notify(change_notifications(changes, definition, episode, "corrected", reason, as_of))
