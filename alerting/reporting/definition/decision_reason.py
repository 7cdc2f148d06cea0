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
_PLAIN = {
    "rejected": template("{actor} rejected it: {reason}"),
    "rollback": template("{actor} rolled back: {reason}"),
    "stale": template("Another model had gone into service meanwhile."),
    "refreshed": template("The model in service was fitted again on the newest data."),
    "gave_way": template(
        "Fitted on all data, the model did worse than the same one fitted on the training part "
        "alone."
    ),
}
_BY_CRPS = {
    ("forecasts", "promote"): template(
        "Its forecasts were better, and its warnings no worse (mean CRPS {new}, before {old})."
    ),
    ("forecasts", "keep"): template(
        "Its warnings were better, but its forecasts worse (mean CRPS {new}, before {old})."
    ),
    ("values", "promote"): template("Its values were better (mean CRPS {new}, before {old})."),
    ("values", "keep"): template("Its values were no better (mean CRPS {new}, before {old})."),
}
_WITHOUT_NUMBERS = {
    "promote": template("It passed the comparison with the model in service."),
    "cannot_tell": template("There is no problem yet that neither model had seen."),
    "keep": template("It did not pass the comparison with the model in service."),
}
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
    "keep": templates(
        "It was no better on {number} problem that neither model had seen{measured}.",
        "It was no better on {number} problems that neither model had seen{measured}.",
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
    "fixed_finds_nothing": template(
        "It ranks better than chance, but the threshold that the definition fixes finds no problem."
    ),
    "found_by_chance": template(
        "In the validation period its scores before the problems were no higher than chance "
        "explains."
    ),
    "none_of_few_found": template(
        "It ranks better than chance, but its threshold finds none of the problems of the "
        "validation period."
    ),
    "worse_than_last": template(
        "On the test period the values that it predicts were worse than the last known value alone."
    ),
    "finds_no_anomaly": template(
        "In the time that it has not seen it finds neither a problem nor a synthetic anomaly."
    ),
    "finds_no_problem": template("In the time that it has not seen it finds none of the problems."),
    "constant": template("A variable never changes, so nothing shows what a usual value is."),
    "nothing_to_find": template(
        "It ranks better than chance, but no problem occurs in the validation period, so nothing "
        "shows that its threshold finds one."
    ),
}


def explain_waiting(
    objection: str | None, evidence: Mapping[str, Any] = MappingProxyType({})
) -> Translatable:
    """Say why a proposal waits for a person: for an objection of `decision_table`, or because its
    definition wants it. `evidence`: of the proposal."""
    usual = template("It goes into service only if a person approves.")
    if objection not in COUNTED:
        return translatable(_OBJECTIONS.get(objection or "", usual))
    facts = evidence.get(objection, {})
    instead = translatable("An alert at the limit would show each as it begins.")
    return joined(" ", _count_found(objection, facts), instead if facts.get("alert") else "")


def _count_found(objection: str, facts: Mapping[str, Any]) -> Translatable:
    """Say that a model repeats an earlier value, if it does, and how many problems it announces, as
    far as they were counted."""
    problems = facts.get("problems")
    earlier = (
        template(
            "It is the value one season before alone; no other candidate is better beyond chance."
        )
        if facts.get("family") == SEASONAL
        else template(
            "It is the last known value alone; no other candidate is better beyond chance."
        )
    )
    announces = translatable_count(
        "It announces {found} of {number} problem of the validation period.",
        "It announces {found} of {number} problems of the validation period.",
        problems or 0,
        found=Styled(facts.get("found", 0), "count"),
    )
    return joined(
        " ",
        translatable(earlier) if objection == "last_value_serves" else "",
        announces if problems else "",
        translatable("No problem occurs in the validation period.") if problems == 0 else "",
    )


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
    why = _why(verdict, champion, actor, reason.partition(": ")[2], evidence)
    cut_short = evidence.get("cut_short")
    if cut_short is None:
        return why
    return translatable(
        "{why} Its search was cut short by the time budget (trials: {families}).",
        why=why,
        families=", ".join(
            f"{family.replace('_', ' ')} {done}/{trials}"
            for family, (done, trials) in cut_short["trials"].items()
        ),
    )


def _why(
    verdict: str, champion: int | None, actor: str, stated: str, evidence: Mapping[str, Any]
) -> Translatable:
    if verdict == "provisional":
        return _provisional(champion, actor, evidence)
    if verdict == "no_challenger":
        return _without_challenger(evidence)
    if verdict in _PLAIN:
        why = stated.partition(" (")[0] if verdict == "rejected" else stated
        return translatable(_PLAIN[verdict], actor=actor, reason=why)
    if by_crps := _BY_CRPS.get((evidence.get("decided_by", ""), verdict)):
        crps = {model: Styled(value, ".4g") for model, value in evidence["crps"].items()}
        return translatable(by_crps, new=crps["challenger"], old=crps["champion"])
    if (events := evidence.get("events")) is not None:
        forms = _ON_PROBLEMS.get(verdict, _ON_PROBLEMS["keep"])
        return translatable_count(*forms, events, measured=_measured(evidence))
    first = (
        template("First limits of this alert: they follow the newest readings.")
        if "limits" in evidence
        else template(
            "First model of this alert. It passed the tests on readings that it had not seen."
        )
    )
    is_first = verdict == "promote" and champion is None
    usual = _WITHOUT_NUMBERS.get(verdict, _WITHOUT_NUMBERS["keep"])
    return translatable(first if is_first else usual)


def _without_challenger(evidence: Mapping[str, Any]) -> Translatable:
    chance = evidence.get("chance")
    onset = (chance or {}).get("onset")
    if onset and not _is_beyond(onset):
        return translatable(
            "Nothing shows this problem before it is there, so there is nothing to forecast. An "
            "alert at the limit says as much, without a model."
        )
    if "values" in evidence and (chance is None or _is_beyond(chance)):
        return translatable("No candidate was better than the last known value and the mean.")
    return translatable("No candidate was better than chance.")


def _is_beyond(test: Mapping[str, Any]) -> bool:
    return float(test["ap"]) > float(test["bound"])


def _provisional(champion: int | None, actor: str, evidence: Mapping[str, Any]) -> Translatable:
    """Return why a model serves that was not compared with another one, or did not pass."""
    objection = next((name for name in COUNTED if champion is None and name in evidence), "")
    by_person = template("{actor} approved it: by itself it would not have gone into service.")
    values: dict[str, Value] = {"actor": actor}
    match evidence:
        case _ if objection:
            values["counted"] = _count_found(objection, evidence[objection])
            text = template("First model. {counted} {actor} approved it.")
        case {"found_by_chance": {"problems": problems}} if champion is None:
            values["problems"] = Styled(problems, ".0f")
            text = template(
                "First model. In the validation period its scores before the {problems} problems "
                "were no higher than chance explains, so a person decides."
            )
        case {"compared": _}:  # learned from readings alone
            too_few = template(
                "First model of this alert. There are too few readings yet that it had not seen to "
                "count its false alarms."
            )
            text = too_few if actor == _PLATFORM else by_person
        case _ if champion is not None:
            text = template(
                "The model in service could not be read, so the two could not be compared."
            )
        case {"values": _}:
            text = template(
                "First model of this value. On readings that it had not seen it was better than "
                "the last known value and the mean; it raises no alarm."
            )
        case {"finds_nothing": _} if actor != _PLATFORM:
            text = template(
                "It ranks better than chance, but no threshold finds a problem within the limits: "
                "{actor} approved it."
            )
        case {"test": {"n_events": int(events), "n_found": announced} as test}:
            values["test"] = describe_test(test) or ""
            blind = template("First model. {test} Do not rely on it yet.")
            tested = template("First model. {test} It is used until a better one comes.")
            text = blind if events and not announced else tested
        case _:
            text = template("First model. It ranks better than chance.")
    return translatable(text, **values)


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
