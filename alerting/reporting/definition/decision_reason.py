"""Why a model is in service, waits for a person or is not used, in sentences for the console and
reports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

from alerting.definitions.fields.learning import SEASONAL
from alerting.definitions.wording.language import (
    Styled,
    Translatable,
    Value,
    joined,
    template,
    templates,
    translatable,
    translatable_count,
)
from alerting.reporting.definition.unseen_text import describe_test

# objections that stand in the evidence with the problems found, and with a ready alert
COUNTED = ("finds_few", "last_value_serves")
_PLATFORM = "platform"
_UNREADABLE = template("The model in service could not be read, so the two could not be compared.")
_FIRST_TRAINED = template("First model. It ranks better than chance.")
_FIRST_TESTED = template("First model. {test} It is used until a better one comes.")
_FIRST_FINDS_NOTHING = template("First model. {test} Do not rely on it yet.")
_NO_THRESHOLD = template(
    "It ranks better than chance, but no threshold finds a problem within the limits: {actor} "
    "approved it."
)
_PLAIN = {
    "no_challenger": template("No candidate was better than chance."),
    "stale": template("Another model had gone into service meanwhile."),
    "refreshed": template("The model in service was fitted again on the newest data."),
    "gave_way": template(
        "Fitted on all data, the model did worse than the same one fitted on the training part "
        "alone."
    ),
}
_FOUND_BY_CHANCE = template(
    "First model. In the validation period its scores before the {problems} problems were no "
    "higher than chance explains, so a person decides."
)
_ANNOUNCES = templates(
    "It announces {found} of {number} problem of the validation period.",
    "It announces {found} of {number} problems of the validation period.",
)
_NO_PROBLEM = template("No problem occurs in the validation period.")
_INSTEAD = template("An alert at the limit would show each as it begins.")
_LAST_VALUE = template(
    "It is the last known value alone; no other candidate is better beyond chance."
)
_LAST_SEASON = template(
    "It is the value one season before alone; no other candidate is better beyond chance."
)
_APPROVED_FEW = template("First model. {counted} {actor} approved it.")
_NOTHING_TO_FORECAST = template(
    "Nothing shows this problem before it is there, so there is nothing to forecast. An alert at "
    "the limit says as much, without a model."
)
_TOO_FEW = template(
    "First model of this alert. There are too few readings yet that it had not seen to count its "
    "false alarms."
)
_APPROVED = template("{actor} approved it: by itself it would not have gone into service.")
_NOT_PASSED = template("It did not pass the comparison with the model in service.")
_FIRST = template(
    "First model of this alert. It passed the tests on readings that it had not seen."
)
_FIRST_LIMITS = template("First limits of this alert: they follow the newest readings.")
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
_CUT_SHORT = template("{why} Its search was cut short by the time budget (trials: {families}).")
_BY_VALUES = {
    "promote": template("Its values were better (mean CRPS {new}, before {old})."),
    "keep": template("Its values were no better (mean CRPS {new}, before {old})."),
}
_BY_CRPS = {"forecasts": _BY_FORECASTS, "values": _BY_VALUES}
_FIRST_VALUES = template(
    "First model of this value. On readings that it had not seen it was better than the last known "
    "value; it raises no alarm."
)
_NO_VALUES = template("No candidate was better than the last known value.")
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


_OBJECTIONS: Mapping[str, str] = {
    "unreadable_champion": template(
        "The model in service cannot be read, so the two could not be compared."
    ),
    "lost_assets": template("It no longer watches each asset that the one in service watches."),
    "moved": template("Its limits are far from those in service."),
    "no_unseen_time": template(
        "There is no normal time that it has not seen, in which its false alarms could be counted."
    ),
    "champion_raises_too_many": template(
        "The model in service raises too many false alarms: normal operation has moved, or a fault "
        "goes on."
    ),
    "lasting_alarms": template(
        "It is in alarm for too much of the normal time that it has not seen."
    ),
    "too_many_alarms": template(
        "It raises too many false alarms in the normal time that it has not seen."
    ),
    "lasting_signals": template(
        "Its signals last for too many of the points that it has not seen."
    ),
    "too_many_signals": template("It has too many signals at points that it has not seen."),
    "too_little_time": template(
        "There is too little normal time that it has not seen to count its false alarms."
    ),
    "too_few_points": template(
        "There are too few points that it has not seen to count its signals."
    ),
    "fewer_problems": template("It finds fewer of the problems than the one in service."),
    "no_synthetic_time": template(
        "There is no time that it has not seen in which synthetic anomalies could be tried."
    ),
    "fewer_synthetic": template("It finds fewer synthetic anomalies than the one in service."),
    "too_many_on_new_assets": template(
        "It raises too many false alarms on assets that the one in service does not watch."
    ),
    "finds_nothing": template(
        "It ranks better than chance, but no threshold finds a problem within the limits."
    ),
    "found_by_chance": template(
        "In the validation period its scores before the problems were no higher than chance "
        "explains."
    ),
    "nothing_to_find": template(
        "It ranks better than chance, but no problem occurs in the validation period, so nothing "
        "shows that its threshold finds one."
    ),
}
_NO_OBJECTION = template("It goes into service only if a person approves.")


def explain_waiting(
    objection: str | None, evidence: Mapping[str, Any] = MappingProxyType({})
) -> Translatable:
    """Say why a proposal waits for a person: for an objection of `decision_table`, or because its
    definition wants it. `evidence`: of the proposal."""
    if objection in COUNTED:
        facts = evidence.get(objection, {})
        instead = translatable(_INSTEAD) if facts.get("alert") else ""
        return joined(" ", _count_found(objection, facts), instead)
    return translatable(_OBJECTIONS.get(objection or "", _NO_OBJECTION))


def _count_found(objection: str, facts: Mapping[str, Any]) -> Translatable:
    """Say that a model repeats an earlier value, if it does, and how many problems it announces, as
    far as they were counted."""
    counted: list[Translatable] = []
    if objection == "last_value_serves":
        is_season = facts.get("family") == SEASONAL
        counted.append(translatable(_LAST_SEASON if is_season else _LAST_VALUE))
    if facts.get("problems"):
        announced = Styled(facts["found"], "count")
        counted.append(translatable_count(*_ANNOUNCES, facts["problems"], found=announced))
    elif "problems" in facts:
        counted.append(translatable(_NO_PROBLEM))
    return joined(" ", *counted)


@dataclass(frozen=True)
class DecisionMade:
    """A promotion decision of the period.

    `expected`: metrics at the decision by name, on data that the model had not seen;
    `expected_intervals`: of 95 %, where they were recorded. `reason`: as it was recorded, in
    English; `summary`: for people, in every language. `alert`: the definition that was proposed
    instead of a model, as YAML.
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
    alert: str = ""


def summarise_decision(
    verdict: str, champion: int | None, actor: str, reason: str, evidence: Mapping[str, Any]
) -> Translatable:
    """Say why a decision was made, and whether a search was cut short.

    `champion`: until then; `reason`: used if a person's words.
    """
    why = _why(verdict, champion, actor, reason, evidence)
    cut_short = evidence.get("cut_short")
    if cut_short is None:
        return why
    return translatable(
        _CUT_SHORT,
        why=why,
        families=", ".join(
            f"{family.replace('_', ' ')} {done}/{trials}"
            for family, (done, trials) in cut_short["trials"].items()
        ),
    )


def _why(
    verdict: str, champion: int | None, actor: str, reason: str, evidence: Mapping[str, Any]
) -> Translatable:
    words = reason.partition(": ")[2]
    if verdict == "rejected":
        return translatable(
            "{actor} rejected it: {reason}", actor=actor, reason=words.partition(" (")[0]
        )
    if verdict == "rollback":
        return translatable("{actor} rolled back: {reason}", actor=actor, reason=words)
    if verdict in _PLAIN or verdict == "provisional":
        return _without_comparison(verdict, champion, actor, evidence)
    by_crps = _BY_CRPS.get(evidence.get("decided_by", ""), {})
    if verdict in by_crps:
        crps = {model: Styled(value, ".4g") for model, value in evidence["crps"].items()}
        return translatable(by_crps[verdict], new=crps["challenger"], old=crps["champion"])
    events = evidence.get("events")
    if events is None:
        first = _FIRST_LIMITS if "limits" in evidence else _FIRST
        is_first = verdict == "promote" and champion is None
        return translatable(first if is_first else _WITHOUT_NUMBERS.get(verdict, _NOT_PASSED))
    return translatable_count(
        *_ON_PROBLEMS.get(verdict, _NO_BETTER), events, measured=_measured(evidence)
    )


def _without_comparison(
    verdict: str, champion: int | None, actor: str, evidence: Mapping[str, Any]
) -> Translatable:
    if verdict == "no_challenger":
        return translatable(_without_challenger(evidence))
    if verdict != "provisional":
        return translatable(_PLAIN[verdict])
    objection = next((name for name in COUNTED if name in evidence), None)
    if objection is not None and champion is None:
        counted = _count_found(objection, evidence[objection])
        return translatable(_APPROVED_FEW, counted=counted, actor=actor)
    by_chance = evidence.get("found_by_chance")
    if by_chance is None or champion is not None:
        return _provisional(champion, actor, evidence)
    return translatable(_FOUND_BY_CHANCE, problems=Styled(by_chance["problems"], ".0f"))


def _without_challenger(evidence: Mapping[str, Any]) -> str:
    chance = evidence.get("chance")
    onset = (chance or {}).get("onset")
    if onset and not _is_beyond(onset):
        return _NOTHING_TO_FORECAST
    ranks = chance is None or _is_beyond(chance)
    return _NO_VALUES if "values" in evidence and ranks else _PLAIN["no_challenger"]


def _is_beyond(test: Mapping[str, Any]) -> bool:
    return float(test["ap"]) > float(test["bound"])


def _provisional(champion: int | None, actor: str, evidence: Mapping[str, Any]) -> Translatable:
    """Return why a model serves that was not compared with another one, or did not pass."""
    if "compared" in evidence:  # learned from readings alone
        return (
            translatable(_TOO_FEW) if actor == _PLATFORM else translatable(_APPROVED, actor=actor)
        )
    if champion is not None:
        return translatable(_UNREADABLE)
    if "values" in evidence:
        return translatable(_FIRST_VALUES)
    if "finds_nothing" in evidence and actor != _PLATFORM:
        return translatable(_NO_THRESHOLD, actor=actor)
    test = describe_test(evidence.get("test", {}))
    if test is None:
        return translatable(_FIRST_TRAINED)
    is_blind = evidence["test"]["n_events"] and not evidence["test"]["n_found"]
    return translatable(_FIRST_FINDS_NOTHING if is_blind else _FIRST_TESTED, test=test)


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
