"""Evaluate definitions: judge what is new since the watermark, raise and close episodes, move the watermark last."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from alerting.definitions.assets import Asset
from alerting.definitions.faults import Refused
from alerting.definitions.model import Revision
from alerting.definitions.validation import matching_assets
from alerting.episodes.lifecycle import SpellState
from alerting.pipelines.definitions import active, require_revision, sync
from alerting.pipelines.in_force import Segment, champion_at, first_instant, segments
from alerting.pipelines.judging import Judgement, ModelShelf, judge_classifier, judge_threshold, score_rows
from alerting.pipelines.keeping import keep_live, keep_past
from alerting.pipelines.platform_alerts import tell_of_models
from alerting.pipelines.ports import ModelUnavailable, Platform, Progress, Replay, silent
from alerting.pipelines.settle import settle_due


@dataclass
class EvaluationCounts:
    """What one run of evaluation did. `unknown` maps `definition on asset` to the reason.

    `unreadable` maps definitions whose champion could not be read to why.
    """

    pairs: int = 0
    raised: int = 0
    closed: int = 0
    elsewhere: int = 0
    settled: int = 0
    unknown: dict[str, str] = field(default_factory=dict)
    outdated: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)


def evaluate(platform: Platform, names: Sequence[str] | None, as_of: datetime, progress: Progress = silent) -> EvaluationCounts:
    """Evaluate active definitions (all, or those named) from their watermark up to as_of. Running it again changes nothing."""
    sync(platform, platform.clock.now())
    revisions = _chosen(platform, names)
    counts, shelf, assets = EvaluationCounts(), ModelShelf(platform), platform.assets.all()
    for done, revision in enumerate(revisions):
        progress(f"evaluating {revision.name}", done, len(revisions))
        watched = matching_assets(revision.definition, assets)
        states = platform.states.load(revision.name, [a.name for a in watched])
        for asset in watched:
            _evaluate_pair(platform, shelf, revision, asset, states.get(asset.name), as_of, counts)
    tell_of_models(platform, [r.name for r in revisions], counts.unreadable, as_of)
    counts.settled = settle_due(platform, as_of)
    progress("evaluated", len(revisions), len(revisions))
    return counts


def shards(platform: Platform, every: timedelta, count: int) -> list[list[str]]:
    """Names of the active definitions evaluated at this cadence, dealt over at most `count` lists."""
    names = [r.name for r in active(platform) if r.definition.schedule.every == every]
    return [names[i::count] for i in range(min(count, len(names)))]


def _chosen(platform: Platform, names: Sequence[str] | None) -> list[Revision]:
    if names is None:
        return active(platform)
    revisions = [require_revision(platform, n) for n in names]
    idle = [r.name for r in revisions if r.definition.state != "active"]
    if idle:
        raise Refused(f"not in service: {', '.join(idle)}; only active definitions are evaluated (set state: active)")
    return revisions


def _evaluate_pair(
    platform: Platform,
    shelf: ModelShelf,
    revision: Revision,
    asset: Asset,
    before: SpellState | None,
    as_of: datetime,
    counts: EvaluationCounts,
) -> None:
    revisions, decisions = platform.definitions.revisions(revision.name), platform.decisions.of(revision.name)
    started = first_instant(revisions) or as_of
    state = before or SpellState(watermark=started)
    if state.watermark >= as_of:
        return
    parts = segments(revisions, decisions, state.watermark, as_of)
    judged = _judge(platform, shelf, revision, asset, state, parts)
    kept = keep_live(platform, revision, asset, judged, as_of)
    after = _note_unknown(kept.state, state, judged.unknown)
    if platform.states.advance(revision.name, asset.name, before, after):
        counts.pairs += 1
        counts.raised += kept.raised
        counts.closed += kept.closed
    else:
        counts.elsewhere += 1
    if judged.unknown:
        counts.unknown[f"{revision.name} on {asset.name}"] = judged.unknown
    if judged.unreadable:
        counts.unreadable[revision.name] = judged.unreadable


def _judge(
    platform: Platform,
    shelf: ModelShelf,
    revision: Revision,
    asset: Asset,
    state: SpellState,
    parts: Sequence[Segment],
    named: bool = False,
) -> Judgement:
    if revision.definition.kind == "threshold":
        return judge_threshold(platform, asset, state, parts)
    judged = judge_classifier(platform, shelf, asset, state, parts, named)
    for scored in judged.scores:
        platform.scores.add(revision.name, asset.name, score_rows(scored))
    return judged


def _note_unknown(after: SpellState, before: SpellState, reason: str | None) -> SpellState:
    count = before.unknown_count + 1 if reason else 0
    return replace(after, unknown_count=count, unknown_reason=reason)


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
        judged = _judge(platform, shelf, latest, asset, SpellState(watermark=start), parts, named=True)
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
