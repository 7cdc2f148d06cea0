"""Evaluate definitions: judge what is new since the watermark, raise and close episodes, move the watermark last."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from alerting.definitions.faults import Refused
from alerting.definitions.matching import AssetIndex, matching_assets
from alerting.definitions.model import Revision
from alerting.episodes.lifecycle import SpellState
from alerting.episodes.spell_table import shard_of
from alerting.pipelines.block import evaluate_block
from alerting.pipelines.definitions import require_revision, sync
from alerting.pipelines.garbage import seldom_collected
from alerting.pipelines.in_force import Segment, champion_at, segments
from alerting.pipelines.judging import ModelShelf, judge_pair
from alerting.pipelines.keeping import keep_past
from alerting.pipelines.platform_alerts import tell_of_models
from alerting.pipelines.ports import ModelUnavailable, Platform, Progress, Replay, silent
from alerting.pipelines.rejudge import bases_of, begin_round, end_round
from alerting.pipelines.rounds import Block, EvaluationCounts, Run, starts_of
from alerting.pipelines.settle import settle_due
from alerting.pipelines.watching import current_watchlist
from alerting.pipelines.watchlist import Watchlist, blocks
from alerting.readings.history import from_millis, span_millis, to_millis


@seldom_collected()
def evaluate(platform: Platform, names: Sequence[str] | None, as_of: datetime, progress: Progress = silent) -> EvaluationCounts:
    """Evaluate active definitions (all, or those named) from their watermark up to as_of. Running it again changes nothing."""
    everything = current_watchlist(platform)
    watchlist = _chosen(platform, everything, names)
    late = begin_round(platform, everything.watches, watchlist.names, as_of)
    counts = EvaluationCounts(late=late.counts.late, too_late=late.counts.too_late)
    assets, watched = AssetIndex(platform.assets.all()), watchlist.watches
    run = Run(platform, from_millis(to_millis(as_of)), assets, ModelShelf(platform), counts, late)
    spells = platform.states.load_many([watch.pair for watch in watched])
    whole = Block(watched, spells, starts_of(run, watched, spells), bases_of(run, watched, spells))
    done = 0
    for rows in blocks(watched, whole.starts, whole.begun, to_millis(as_of)):
        progress("evaluating", done, len(watched))
        evaluate_block(run, whole.take(rows))
        done += len(rows)
    end_round(platform, late)
    tell_of_models(platform, watchlist.names, run.counts.unreadable, as_of)
    run.counts.settled = settle_due(platform, as_of)
    progress("evaluated", len(watched), len(watched))
    return run.counts


def shards(platform: Platform, every: timedelta, count: int) -> list[list[str]]:
    """Names of the active definitions evaluated at this cadence, dealt over at most `count` lists.

    Those whose states are kept together stay together, so that two lists evaluated at once do not wait for each other.
    """
    dealt: dict[int, list[str]] = {}
    for name in sorted({w.definition for w in current_watchlist(platform).watches if w.every == span_millis(every)}):
        dealt.setdefault(shard_of(name) % count, []).append(name)
    return [dealt[place] for place in sorted(dealt)]


def _chosen(platform: Platform, watchlist: Watchlist, names: Sequence[str] | None) -> Watchlist:
    if names is None:
        return watchlist
    idle = sorted(set(names) - set(watchlist.names))
    for name in idle:
        require_revision(platform, name)
    if idle:
        raise Refused(f"not in service: {', '.join(idle)}; only active definitions are evaluated (set state: active)")
    return watchlist.only(names)


def evaluate_past(
    platform: Platform,
    name: str,
    start: datetime,
    end: datetime,
    model: str | None = None,
    revision: str | None = None,
    progress: Progress = silent,
) -> EvaluationCounts:
    """Judge a past stretch (start, end] anew and tell nobody. The watermark stays where it is.

    By default each instant is judged by the revision and champion that were in force there. `model` (a version number, or
    `champion`) and `revision` (a number, or `latest`) name one for the whole stretch; no model judges what it has learned from.
    Raises Refused when the stretch is empty or nothing was in force.
    """
    if start >= end:
        raise Refused(f"--from {start.isoformat()} must lie before --to {end.isoformat()}")
    sync(platform, platform.clock.now())
    latest = require_revision(platform, name)
    shelf = ModelShelf(platform)
    parts = _past_parts(platform, shelf, latest, start, end, model, revision)
    counts, assets = EvaluationCounts(), matching_assets(latest.definition, platform.assets.all())
    for done, asset in enumerate(assets):
        progress(f"evaluating {name} on {asset.name}", done, len(assets))
        judged = judge_pair(platform, shelf, latest, asset, SpellState(watermark=start), parts, named=True)
        kept = keep_past(platform, latest, asset, judged, start, end)
        for part in parts:
            number = part.revision.number if part.revision else None
            now = platform.clock.now()
            platform.replays.add(Replay(name, asset.name, part.start, part.end, number, part.model_version, now))
        counts.pairs += 1
        counts.raised += kept.raised
        counts.closed += kept.closed
        counts.outdated += kept.outdated
        if judged.unknown:
            counts.unknown[f"{name} on {asset.name}"] = judged.unknown
    counts.settled = settle_due(platform, max(end, platform.clock.now()))
    progress("evaluated", len(assets), len(assets))
    return counts


def _past_parts(
    platform: Platform,
    shelf: ModelShelf,
    latest: Revision,
    start: datetime,
    end: datetime,
    model: str | None,
    revision: str | None,
) -> list[Segment]:
    name = latest.name
    if model is None and revision is None:
        parts = segments(platform.definitions.revisions(name), platform.decisions.of(name), start, end)
        if all(p.revision is None for p in parts):
            raise Refused(
                f"no revision of {name!r} was in force from {start.isoformat()} to {end.isoformat()}; "
                "name what shall judge that time: --model champion, or --revision latest"
            )
        return parts
    chosen = latest if revision in (None, "latest") else require_revision(platform, name, _number("--revision", revision))
    version = _named_version(platform, latest, model)
    if version is not None:
        _check_unseen(shelf, name, version, end)
    return [Segment(start, end, chosen, version)]


def _named_version(platform: Platform, latest: Revision, model: str | None) -> int | None:
    if latest.definition.kind == "threshold":
        return None
    if model not in (None, "champion"):
        return _number("--model", model)
    version = champion_at(platform.decisions.of(latest.name), datetime.max.replace(tzinfo=latest.at.tzinfo))
    if version is None:
        raise Refused(f"{latest.name!r} has no champion yet; train it first: alerting train {latest.name}")
    return version


def _check_unseen(shelf: ModelShelf, name: str, version: int, end: datetime) -> None:
    try:
        seen_until = shelf.get(name, version).seen_until
    except ModelUnavailable as unavailable:
        raise Refused(f"model {version} of {name!r} cannot be read: {unavailable}") from unavailable
    if end <= seen_until:
        raise Refused(
            f"model {version} of {name!r} has learned from times up to {seen_until.isoformat()}; "
            f"it cannot judge anything before {end.isoformat()}"
        )


def _number(option: str, text: str | None) -> int:
    if text is None or not text.isdigit():
        raise Refused(f"{option} {text!r}: write a version number, or leave the option out")
    return int(text)
