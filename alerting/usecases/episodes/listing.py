"""Lists of episodes."""

from datetime import datetime

from alerting.episodes.episode import Episode
from alerting.ports import Platform
from alerting.usecases.definitions.sync import require_revision


def episodes_of(platform: Platform, name: str | None, start: datetime | None, end: datetime | None) -> list[Episode]:
    """Return episodes newest first, without withdrawn ones. Raises UserError for an unknown definition name."""
    if name is not None:
        require_revision(platform, name)
    return [e for e in platform.episodes.find(definition=name, start=start, end=end) if not e.withdrawn]
