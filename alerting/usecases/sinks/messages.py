"""Messages of sinks: changes of alarms and values, for programs: in English, with instants in
UTC."""

from collections.abc import Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from alerting.definitions.model import AssetIndex
from alerting.definitions.sinks.fields import SinkContent
from alerting.definitions.sinks.sink import Sink
from alerting.episodes.episode import Episode, Transition, TransitionKind
from alerting.ports import SinkMessage, TargetScore
from alerting.reporting.base.sentences import message as in_one_line

_ALARMS: frozenset[TransitionKind] = frozenset({
    "raised", "severity", "revised", "happening", "closed", "corrected", "reopened", "muted",
    "unmuted", "suppressed", "maintenance",
})  # fmt: skip
_ACKNOWLEDGEMENTS: frozenset[TransitionKind] = frozenset(
    {"acknowledged", "confirmed", "commented", "assigned", "feedback"}
)


class SinkSelection:
    """What a sink sends of the plant. `assets`: with those above them."""

    def __init__(self, sink: Sink, assets: AssetIndex) -> None:
        self._match = sink.match
        self._lines = {
            asset.name: {asset.name, *assets.ancestors(asset)}
            for asset in (assets.assets if sink.match.parts else ())
        }

    def takes(self, definition: str, asset: str) -> bool:
        """Return whether a definition on an asset goes out."""
        line = self._lines.get(asset, {asset})
        return (not self._match.parts or not line.isdisjoint(self._match.parts)) and any(
            fnmatchcase(definition, pattern) for pattern in self._match.definitions
        )

    def takes_alarm(self, episode: Episode) -> bool:
        """Return whether an alarm goes out: by its severity or its worst one, so that the end of
        each that went out goes out, too."""
        wanted = self._match.severity
        has_severity = wanted is None or bool(
            {episode.severity, episode.severity_peak}.intersection(wanted)
        )
        return has_severity and self.takes(episode.definition, episode.asset)


def content_of(transition: Transition) -> SinkContent | None:
    """Return what a transition is to a receiver; None for what only notifications need."""
    if transition.kind in _ALARMS:
        return "alarms"
    return "acknowledgements" if transition.kind in _ACKNOWLEDGEMENTS else None


def alarm_messages(sink: Sink, episode: Episode, sent: int) -> Iterator[SinkMessage]:
    """Yield a message for each transition of an episode after the first `sent` ones."""
    for number, transition in enumerate(episode.transitions[sent:], sent + 1):
        content = content_of(transition)
        if content in sink.sends:
            yield _alarm_message(sink, episode, transition, number, content)


def _alarm_message(
    sink: Sink, episode: Episode, transition: Transition, number: int, sends: SinkContent
) -> SinkMessage:
    key = f"{sink.name}:{episode.id}:{number}"
    content: dict[str, Any] = {
        "key": key,
        "sink": sink.name,
        "sends": sends,
        "transition": transition.kind,
        "at": _stamp(transition.at),
        "actor": transition.actor,
        "reason": str(transition.reason),
        "episode": episode.id,
        "definition": episode.definition,
        "revision": episode.revision,
        "kind": episode.kind,
        "asset": episode.asset,
        "title": episode.title,
        "severity": episode.severity,
        "state": episode.phase,
        "acknowledged": episode.acknowledged is not None,
        "acknowledged_by": episode.acknowledged and episode.acknowledged.actor,
        "muted": episode.muted_by is not None,
        "withdrawn": episode.withdrawn,
        "raised_at": _stamp(episode.raised_at),
        "closed_at": episode.closed_at and _stamp(episode.closed_at),
        "message": in_one_line(episode),
        "value": episode.evaluation.value,
        "limit": episode.evaluation.threshold,
        "guidance": dict(episode.guidance),
    }
    return SinkMessage(
        key,
        sends,
        episode.definition,
        episode.asset,
        transition.at,
        content,
        episode.severity,
    )


def value_messages(sink: Sink, one: TargetScore) -> Iterator[SinkMessage]:
    """Yield the score and the forecast of one instant, of those that a sink sends."""
    score = one.score
    if "scores" in sink.sends and score.score is not None:
        values: dict[str, Any] = {"score": score.score, "limit": score.threshold}
        yield _value_message(sink, one, "scores", values)
    if "forecasts" in sink.sends and score.values:
        ahead = [
            {
                "ahead_s": value.lead.total_seconds(),
                "low": value.low,
                "median": value.median,
                "high": value.high,
            }
            for value in score.values
        ]
        yield _value_message(sink, one, "forecasts", {"values": ahead})


def _value_message(
    sink: Sink, one: TargetScore, sends: SinkContent, values: dict[str, Any]
) -> SinkMessage:
    ts = _stamp(one.score.ts)
    key = f"{sink.name}:{one.definition}:{one.asset}:{ts}"
    if sends == "forecasts":
        key = f"{key}:forecast"
    content = {
        "key": key,
        "sink": sink.name,
        "sends": sends,
        "definition": one.definition,
        "asset": one.asset,
        "ts": ts,
        "model_version": one.score.model_version,
        **values,
    }
    return SinkMessage(key, sends, one.definition, one.asset, one.score.ts, content)


def message_for_a_test(sink: Sink, actor: str, now: datetime) -> SinkMessage:
    """Return a message for a test: marked as one, of no alarm."""
    key = f"{sink.name}:test:{_stamp(now)}"
    content = {"key": key, "sink": sink.name, "sends": sink.sends[0], "test": True, "actor": actor}
    return SinkMessage(key, sink.sends[0], "test", "test", now, {**content, "at": _stamp(now)})


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
