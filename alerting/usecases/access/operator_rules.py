"""The rules of what operators write, for an account with a scope: answers, reported misses, and
hand-overs of visible parts of the plant."""

from collections.abc import Mapping
from typing import Any

from alerting.usecases.access.rules import (
    Call,
    Given,
    Rule,
    Sight,
    asked,
    one,
    read_visible,
    writing,
)


def _of_part(sight: Sight, handover: Any) -> bool:
    return sight.sees(handover.part)


def _find(sight: Sight, call: Call, given: Given) -> Any:
    wanted = given["parts"]
    visible = sight.part.assets
    return call(**{**given, "parts": visible if wanted is None else visible & set(wanted)})


OPERATOR_RULES: Mapping[str, Mapping[str, Rule]] = {
    "misses": {
        "append": writing("miss", lambda sight, miss: sight.sees(miss.asset)),
        "for_interval": read_visible,
    },
    "feedback": {
        "append": writing("feedback", lambda sight, given: sight.sees_episode(given.episode)),
        "for_episode": asked("episode", Sight.sees_episode, list),
    },
    "handovers": {
        **dict.fromkeys(("insert", "replace"), writing("handover", _of_part)),
        "get": one(_of_part),
        "find": _find,
    },
}
