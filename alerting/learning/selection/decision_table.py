"""The decision on a challenger: objections are facts of a comparison, and one table decides.

A kind says which objections hold; the first row of the table that holds gives the verdict.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from alerting.definitions.model import ModelDefinition
from alerting.learning.selection.proposal import Verdict

Objection = Literal[
    "not_above_chance", "same_model", "same_estimate", "unreadable_champion", "no_champion",
    "first_values",
    "no_mature_label", "too_few_problems", "one_class", "verdict_by_acted_rows", "not_better",
    "worse_forecasts", "lost_assets", "moved", "no_unseen_time", "champion_raises_too_many",
    "lasting_alarms", "too_many_alarms", "lasting_signals", "too_many_signals", "too_little_time",
    "too_few_points", "too_few_points_of_first", "fewer_problems", "no_synthetic_time",
    "fewer_synthetic", "too_many_on_new_assets", "finds_nothing",
    "none_of_few_found", "found_by_chance", "chosen_out_of_fold", "worse_than_last",
]  # fmt: skip
PROMOTING = frozenset[Verdict]({"promote", "provisional", "refreshed", "gave_way"})
_APPROVED = "goes into service only if a person approves."
_CONDITION = re.compile(r"goes into service only if a person approves(: `[^`]*`)?")


@dataclass(frozen=True, kw_only=True)
class PromotionDecision:
    """Verdict on a challenger, and its reason. `objection`: why a person must approve its
    promotion, None if it needs no approval.

    `provisional`: the model that serves then was not compared with another one. `evidence` is
    JSON-able.
    """

    verdict: Verdict
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    objection: Objection | None = None
    provisional: bool = False

    @property
    def by_person(self) -> bool:
        """Return whether a person must approve the promotion."""
        return self.objection is not None

    @property
    def promote(self) -> bool:
        """Return whether another model goes into service."""
        return self.verdict in PROMOTING

    def waits(self, definition: ModelDefinition) -> bool:
        """Return whether the promotion waits for a person: for this decision, or for any."""
        return self.promote and (self.by_person or definition.promotion.mode == "approval")


@dataclass(frozen=True)
class DecisionRule:
    """One row of the table. `sentence`: the reason, with the names of facts in braces.

    `verdict`: None where the objection is added to a promotion (`add_objection`), whose verdict
    stays.
    """

    objection: Objection
    verdict: Verdict | None
    by_person: bool
    sentence: str


RULES: tuple[DecisionRule, ...] = (
    DecisionRule("not_above_chance", "no_challenger", False, "{chance}{stays} {remedy}"),
    DecisionRule(
        "same_model", "keep", False,
        "The challenger is the same model as the champion; the champion stays.",
    ),
    DecisionRule("same_estimate", "keep", False, "The {subject} the same."),
    DecisionRule(
        "unreadable_champion", "provisional", True,
        "The champion, version {version}, cannot be read, so the comparison is impossible "
        f"({{fault}}). The challenger {_APPROVED}",
    ),
    DecisionRule(
        "no_champion", "provisional", False,
        "First model. It is clearly better than chance and can be used until a comparison is "
        "possible.",
    ),
    DecisionRule(
        "first_values", "provisional", False,
        "First model. Its values serve, without an alarm, until a comparison is possible.",
    ),
    DecisionRule(
        "no_mature_label", "cannot_tell", False,
        "Cannot tell: no row after {start}, the first instant that neither model has used, has a "
        "mature label. The champion stays.",
    ),
    DecisionRule(
        "too_few_problems", "cannot_tell", False,
        "Cannot tell: {problems} problems {period}, {least} are needed. The champion stays.",
    ),
    DecisionRule(
        "one_class", "cannot_tell", False,
        "Cannot tell: the rows {period} are all of one class once acted-upon episodes are left "
        "out. The champion stays.",
    ),
    DecisionRule(
        "verdict_by_acted_rows", "cannot_tell", False,
        "Cannot tell: {summary}, but the answer depends on {acted} rows of acted-upon episodes: "
        "better in {positive} if they count as problems, in {negative} if not. The champion "
        "stays.",
    ),
    DecisionRule("not_better", "keep", False, "The champion stays: {summary}."),
    DecisionRule(
        "worse_forecasts", "keep", False,
        "The champion stays: the challenger warns better, but forecasts worse: {summary}.",
    ),
    DecisionRule(
        "lost_assets", "provisional", True,
        f"{{found}} It no longer watches {{lost}}. It {_APPROVED}",
    ),
    DecisionRule(
        "moved", "provisional", True, f"{{moved}}. The {{new}} limits {_APPROVED} {{found}}"
    ),
    DecisionRule(
        "no_unseen_time", "provisional", True,
        "{found} There is no unseen normal time on which its false alarms could be counted. It "
        f"{_APPROVED}",
    ),
    DecisionRule(
        "champion_raises_too_many", "provisional", True,
        "{found} Those of the one in service are too many: normal operation has moved, or a fault "
        f"goes on. It {_APPROVED}",
    ),
    DecisionRule(
        "lasting_alarms", "provisional", True,
        "{found} It is in alarm for {in_alarm:.0%} of unseen normal time, and at most "
        f"{{most_in_alarm:.0%}} are allowed. It {_APPROVED}",
    ),
    DecisionRule(
        "too_many_alarms", "provisional", True,
        f"{{found}} These false alarms are too many. It {_APPROVED}",
    ),
    DecisionRule(
        "lasting_signals", "provisional", True,
        "{found} They last for {in_alarm:.0%} of these points, of which at most "
        f"{{most_in_alarm:.0%}} are allowed, so it {_APPROVED}",
    ),
    DecisionRule(
        "too_many_signals", "provisional", True,
        f"{{found}} These are too many, so it {_APPROVED}",
    ),
    DecisionRule(
        "too_little_time", "provisional", True,
        "{found} This is too little unseen normal time: {least_allowed:g} false alarms must be "
        f"allowed in it.{{alone}} It {_APPROVED}",
    ),
    DecisionRule("too_few_points", "provisional", True, f"{{stays}}{{found}} So it {_APPROVED}"),
    DecisionRule("too_few_points_of_first", "provisional", False, "{found}"),
    DecisionRule(
        "fewer_problems", "provisional", True,
        f"{{found}} It finds fewer of the problems than the one in service. It {_APPROVED}",
    ),
    DecisionRule(
        "no_synthetic_time", "provisional", True,
        f"{{found}} There is no unseen time for synthetic anomalies. It {_APPROVED}",
    ),
    DecisionRule(
        "fewer_synthetic", "provisional", True,
        f"{{found}} It finds fewer synthetic anomalies than the one in service. It {_APPROVED}",
    ),
    DecisionRule(
        "too_many_on_new_assets", "provisional", True,
        "{found} On assets that the one in service does not watch it raises {on_new_assets} false "
        f"alarms: too many. It {_APPROVED}",
    ),
    DecisionRule(
        "finds_nothing", None, True,
        "{reason} Its threshold finds no problem in {period}, so it goes into service only if "
        "a person approves: `alerting model approve`.",
    ),
    DecisionRule(
        "chosen_out_of_fold", None, False,
        "{reason} The validation period has no rows both with and without a problem ahead, so its "
        "threshold was chosen on {period}.",
    ),
    DecisionRule("worse_than_last", None, False, "{reason} {worse}"),
    DecisionRule(
        "none_of_few_found", None, False,
        "{reason} In the validation period its threshold finds {found} of {problems} problems: too "
        "few to tell how many it will find.",
    ),
    DecisionRule(
        "found_by_chance", None, True,
        "{reason} But its scores before the {problems} problems of the validation period, of which "
        "its threshold finds {found}, are as high by chance in {share:.0%} of the cases, and they "
        "and its average precision out of fold in {together:.1%} (at most {most:.1%} are "
        "allowed), so it goes into service only if a person approves: `alerting model approve`.",
    ),
)  # fmt: skip


def met_condition(reason: str) -> str:
    """Return the reason of a promotion that a person approved: what needed it, in the past."""
    return _CONDITION.sub("could go into service only by approval", reason)


def decide(
    objections: Mapping[Objection, bool],
    facts: Mapping[str, Any],
    accepted: str = "",
    evidence: Mapping[str, Any] = MappingProxyType({}),
    note: str = "",
) -> PromotionDecision:
    """Return the decision by the first row of the table whose objection holds.

    Without one the challenger is promoted for the reason `accepted`. `facts`: those that sentences
    name. `note`: the end of the reason of a promotion.
    """
    rule = next((one for one in RULES if one.verdict and objections.get(one.objection)), None)
    verdict = "promote" if rule is None or rule.verdict is None else rule.verdict
    reason = accepted if rule is None else rule.sentence.format_map(facts)
    return PromotionDecision(
        verdict=verdict,
        reason=reason + (note if verdict in PROMOTING else ""),
        evidence=evidence,
        objection=rule.objection if rule is not None and rule.by_person else None,
        provisional=verdict == "provisional",
    )


def add_objection(
    decision: PromotionDecision,
    objection: Objection,
    facts: Mapping[str, Any] = MappingProxyType({}),
) -> PromotionDecision:
    """Return a promotion with an objection that its comparison could not know. `facts`: those that
    its sentence names; they become evidence."""
    rule = next(one for one in RULES if one.objection == objection)
    reason = rule.sentence.format(reason=decision.reason, **facts)
    return replace(
        decision,
        reason=reason,
        objection=rule.objection if rule.by_person else decision.objection,
        evidence={**decision.evidence, **({objection: dict(facts)} if facts else {})},
    )
