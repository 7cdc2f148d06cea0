"""Open alarms of one asset whose advice is opposite to that of an episode."""

from collections.abc import Sequence

from alerting.episodes.episode import Episode
from alerting.ports import Episodes
from alerting.recommendation.conflicts import opposite_advice


def opposite_open(episodes: Episodes, episode: Episode) -> Sequence[str]:
    """Return sentences on open alerts of the asset with the opposite advice."""
    if episode.advice is None or not episode.advice.helps:
        return ()
    return opposite_advice(episodes.find(asset=episode.asset, open_only=True)).get(episode.id, ())
