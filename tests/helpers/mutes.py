"""Mutes as values, and operators who mute one definition on one asset."""

from alerting.operators.actions_and_mutes import Matcher, new_mute
from alerting.usecases.episodes.mutes_and_suppression import mutes_at
from alerting.usecases.operators.operate import end_mute, start_mute
from tests.builders import at


def mute(start=0, end=60, kind="plain", by="ann", made=None, **more):
    """Return a mute between two minutes that was made at one; of oven-1 unless `more` says it."""
    words = {"event": None, "reason": "cleaning", "notified": (), "role": "admin"}
    words |= {name: more.pop(name) for name in [*words] if name in more}
    matcher = Matcher(**(more or {"part": "oven-1"}))
    until = None if end is None else at(end)
    now = at(start if made is None else made)
    return new_mute(kind, matcher, at(start), until, actor=by, now=now, **words)


def mute_target(platform, definition, asset, by, when, until, reason, kind="plain"):
    target = Matcher(asset=asset, definition=definition)
    return start_mute(platform, kind, target, None, until, None, reason, (), by, when)


def unmute_targets(platform, by, when, kind="plain"):
    for one in mutes_at(platform, when).mutes:
        if one.is_target and one.kind == kind and one.phase(when) == "present":
            end_mute(platform, one.id, by, when)
