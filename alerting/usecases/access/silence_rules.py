"""The rules of the port of silences for an account with a scope."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from alerting.usecases.access.rules import Call, Given, Rule, Sight, refuse


def _concerns(sight: Sight, silence: Any) -> bool:
    """Return whether a silence may cover a visible asset: it is on one, on one above, or on none
    in particular."""
    scope = silence.scope
    is_met = scope.definition is None or scope.definition in sight.part.definitions_met
    return is_met and (scope.part is None or sight.reads(scope.part))


def _shown(sight: Sight, silence: Any) -> Any:
    """Return a silence without an event that would come on an asset out of scope."""
    if silence.event_asset is None or sight.reads(silence.event_asset):
        return silence
    return replace(silence, event=None, event_asset=None)


def _get(sight: Sight, call: Call, given: Given) -> Any:
    found = call(**given)
    return _shown(sight, found) if found is not None and _concerns(sight, found) else None


def _list(sight: Sight, call: Call, given: Given) -> list[Any]:
    return [_shown(sight, one) for one in call(**given) if _concerns(sight, one)]


def _write(sight: Sight, call: Call, given: Given) -> Any:
    """Write a silence of a visible part of the plant; refuse one of more than that."""
    silence = given["silence"]
    scope = silence.scope
    is_own = sight.sees(scope.part) and _concerns(sight, silence)
    ends_there = silence.event_asset is None or sight.reads(silence.event_asset)
    return call(**given) if is_own and ends_there else refuse()


SILENCE_RULES: Mapping[str, Mapping[str, Rule]] = {
    "silences": {
        "insert": _write,
        "replace": _write,
        "get": _get,
        "not_ended": _list,
        "overlapping": _list,
    }
}
