"""What is watched now: the kept list where nothing was written since, else read anew from definitions and assets."""

from alerting.definitions.matching import AssetIndex
from alerting.pipelines.definitions import active, sync
from alerting.pipelines.ports import Platform
from alerting.pipelines.watchlist import Watchlist, watches


def current_watchlist(platform: Platform) -> Watchlist:
    """Every definition in service with its assets. What people wrote since the last time is taken up first, as `sync` does."""
    kept = platform.watchlists.get(platform.watchlists.written())
    if kept is not None:
        return kept
    sync(platform, platform.clock.now())
    written = platform.watchlists.written()
    revisions = active(platform)
    found = Watchlist(tuple(r.name for r in revisions), tuple(watches(revisions, AssetIndex(platform.assets.all()))))
    if platform.watchlists.written() == written:  # else somebody wrote while we read
        platform.watchlists.put(written, found)
    return found
