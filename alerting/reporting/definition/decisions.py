"""Promotion decisions, as a report shows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from alerting.definitions.wording.language import (
    Styled,
    Translatable,
    Value,
    template,
    templates,
    translatable,
    translatable_count,
)

_UNREADABLE = template("The model in service could not be read, so the two could not be compared.")
_PLAIN = {
    "provisional": template(
        "First model. It is clearly better than chance and is used until a comparison is possible."
    ),
    "no_challenger": template("No candidate was better than chance."),
    "stale": template("Another model had gone into service meanwhile."),
    "refreshed": template("The model in service was fitted again on the newest data."),
    "gave_way": template(
        "Fitted on all data, the model did worse than the same one fitted on the training part "
        "alone."
    ),
}
_NOT_PASSED = template("It did not pass the comparison with the model in service.")
_FIRST = template(
    "First model of this alert. It passed the tests on readings that it had not seen."
)
_WITHOUT_NUMBERS = {
    "promote": template("It passed the comparison with the model in service."),
    "cannot_tell": template("There is no problem yet that neither model had seen."),
}
_BY_FORECASTS = {
    "promote": template(
        "Its forecasts were better, and its warnings no worse (mean CRPS {new}, before {old})."
    ),
    "keep": template(
        "Its warnings were better, but its forecasts worse (mean CRPS {new}, before {old})."
    ),
}
_NO_BETTER = templates(
    "It was no better on {number} problem that neither model had seen{measured}.",
    "It was no better on {number} problems that neither model had seen{measured}.",
)
_ON_PROBLEMS = {
    "promote": templates(
        "It was better on {number} problem that neither model had seen{measured}.",
        "It was better on {number} problems that neither model had seen{measured}.",
    ),
    "cannot_tell": templates(
        "Whether it is better cannot be told from {number} problem that neither model had "
        "seen{measured}.",
        "Whether it is better cannot be told from {number} problems that neither model had "
        "seen{measured}.",
    ),
}


@dataclass(frozen=True)
class DecisionMade:
    """A promotion decision of the period.

    `expected`: metrics at the decision by name, on data that the model had not seen;
    `expected_intervals`: of 95 %, where they were recorded. `reason`: as it was recorded, in
    English; `summary`: for people, in every language.
    """

    at: datetime
    verdict: str
    promoted: bool
    version: int | None
    champion: int | None
    reason: str
    actor: str
    run_id: str | None
    expected: Mapping[str, float] = field(default_factory=dict)
    summary: str = ""
    expected_intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def summarise_decision(
    verdict: str, champion: int | None, actor: str, reason: str, evidence: Mapping[str, Any]
) -> Translatable:
    """Say why a decision was made. `champion`: until then; `reason`: used if a person's words."""
    words = reason.partition(": ")[2]
    if verdict == "rejected":
        return translatable(
            "{actor} rejected it: {reason}", actor=actor, reason=words.partition(" (")[0]
        )
    if verdict == "rollback":
        return translatable("{actor} rolled back: {reason}", actor=actor, reason=words)
    if verdict in _PLAIN:
        return translatable(
            _UNREADABLE if verdict == "provisional" and champion is not None else _PLAIN[verdict]
        )
    if evidence.get("decided_by") == "forecasts" and verdict in _BY_FORECASTS:
        new, old = (Styled(evidence["crps"][model], ".4g") for model in ("challenger", "champion"))
        return translatable(_BY_FORECASTS[verdict], new=new, old=old)
    events = evidence.get("events")
    if events is None:
        is_first = verdict == "promote" and champion is None
        return translatable(_FIRST if is_first else _WITHOUT_NUMBERS.get(verdict, _NOT_PASSED))
    return translatable_count(
        *_ON_PROBLEMS.get(verdict, _NO_BETTER), events, measured=_measured(evidence)
    )


def _measured(evidence: Mapping[str, Any]) -> Value:
    """Return the average precision of both models as a clause; empty where not measured."""
    counted = evidence.get("acted_left_out") or {}
    new = counted.get("challenger_ap")
    old = counted.get("champion_ap")
    if new is None or old is None:
        return ""
    return translatable(
        " (average precision {new}, before {old})", new=Styled(new, ".3f"), old=Styled(old, ".3f")
    )
