"""What helped last time: earlier episodes like one, from the stored ones."""

from alerting.episodes.episode import Episode
from alerting.ports import Episodes
from alerting.recommendation.experience import Experience, find_similar, summarise

_SEARCHED = 100
"""Earlier episodes of the definition among which similar ones are looked for, the newest."""


def experience_of(episodes: Episodes, episode: Episode) -> Experience:
    """Return the earlier episodes most like one, and what was done about them."""
    before = (episode.raised_at, episode.id)
    earlier = episodes.find(episode.definition, limit=_SEARCHED, before=before)
    return summarise(find_similar(episode, earlier))
