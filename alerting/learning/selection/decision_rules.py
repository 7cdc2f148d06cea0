"""The table of rules that decide on a challenger: what each finds, and its text.

A decision is worded here alone, for commands, pages and reports. Whether a person decides, and what
becomes of the model, are facts of a row that the headline of a page or a command says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Literal

from alerting.definitions.wording.language import (
    Translatable,
    Value,
    template,
    templates,
    translatable,
    translatable_count,
)

Verdict = Literal[
    "promote", "keep", "refreshed", "cannot_tell", "provisional", "no_challenger", "gave_way"
]
DecidedVerdict = Verdict | Literal["rejected", "stale", "rollback"]
Objection = Literal[
    "values_without_alarm", "nothing_to_forecast", "too_few_values", "no_better_values",
    "too_few_for_threshold", "threshold_finds_none", "too_few_to_tell", "not_above_chance",
    "same_model", "same_estimate", "unreadable_champion", "no_champion",
    "first_values",
    "no_mature_label", "too_few_problems", "one_class", "verdict_by_acted_rows", "not_better",
    "values_not_better",
    "worse_forecasts", "lost_assets", "moved", "no_unseen_time", "champion_raises_too_many",
    "lasting_alarms", "too_many_alarms", "lasting_signals", "too_many_signals", "too_little_time",
    "too_few_points", "too_few_points_of_first", "fewer_problems", "no_synthetic_time",
    "fewer_synthetic", "too_many_on_new_assets", "finds_nothing", "nothing_to_find",
    "fixed_finds_nothing",
    "none_of_few_found", "found_by_chance", "worse_than_last",
    "finds_few", "last_value_serves", "finds_no_anomaly", "finds_no_problem", "constant",
]  # fmt: skip
Outcome = Literal[
    "better", "better_forecasts", "better_values", "as_allowed", "newest_limits", "refreshed",
    "gave_way", "rejected", "rollback", "stale", "stale_first", "stale_alone",
]  # fmt: skip


@dataclass(frozen=True)
class DecisionRule:
    """One row of the table. `text`: the reason for everyone, with the names of values in braces; or
    its two forms, of which the value `number` selects one. Whether the model goes into service is
    said by the verdict, and whether a person decides by `by_person`; only the texts of what was
    done already (`gave_way`, `rejected`, `rollback`, `stale`) say it themselves.

    `verdict`: None where the objection is added to a promotion (`add_objection`), whose verdict
    stays, and whose reason is the value `reason`.
    """

    ground: Objection | Outcome
    verdict: DecidedVerdict | None
    by_person: bool
    text: str | tuple[str, str]

    @property
    def forms(self) -> tuple[str] | tuple[str, str]:
        """Return the text, or both of its forms."""
        return (self.text,) if isinstance(self.text, str) else self.text

    @property
    def names(self) -> frozenset[str]:
        """Return the names of the values of its text."""
        return frozenset(name for _, name, *_ in Formatter().parse(self.forms[-1]) if name)

    def fill(self, values: Mapping[str, Value]) -> Translatable:
        """Return the text with those of the values that it names."""
        forms = self.forms
        names = self.names
        used = {name: value for name, value in values.items() if name in names}
        if len(forms) == 1:
            return translatable(*forms, **used)
        return translatable_count(*forms, int(str(used.pop("number"))), **used)


RULES: tuple[DecisionRule, ...] = (
    DecisionRule(
        "values_without_alarm", "no_challenger", False,
        template(
            "Predicted values of {variable} are better than the last known one and the mean, but "
            "they give no alarm, and the model in service may give one."
        ),
    ),
    DecisionRule(
        "nothing_to_forecast", "no_challenger", False,
        template(
            "Nothing shows this problem before it is there, so there is nothing to forecast. An "
            "alert at the limit says as much, without a model."
        ),
    ),
    DecisionRule(
        "too_few_values", "no_challenger", False,
        templates(
            "Whether predicted values of {variable} are better than the last known one cannot be "
            "told from {number} unseen value.",
            "Whether predicted values of {variable} are better than the last known one cannot be "
            "told from {number} unseen values.",
        ),
    ),
    DecisionRule(
        "no_better_values", "no_challenger", False,
        template(
            "Predicted values of {variable} are not clearly better than the last known one and the "
            "mean."
        ),
    ),
    DecisionRule(
        "too_few_for_threshold", "no_challenger", False,
        templates(
            "{number} problem in the validation period is too few to set a threshold; {least} are "
            "needed.",
            "{number} problems in the validation period are too few to set a threshold; {least} "
            "are needed.",
        ),
    ),
    DecisionRule(
        "threshold_finds_none", "no_challenger", False,
        templates(
            "Its threshold would find 0 of {number} problem in the validation period.",
            "Its threshold would find 0 of {number} problems in the validation period.",
        ),
    ),
    DecisionRule(
        "too_few_to_tell", "no_challenger", False,
        templates(
            "{number} problem to learn from is too few to tell a model from chance; {least} are "
            "needed.",
            "{number} problems to learn from are too few to tell a model from chance; {least} are "
            "needed.",
        ),
    ),
    DecisionRule(
        "not_above_chance", "no_challenger", False,
        templates(
            "No candidate ranks better than chance ({number} problem in the training period).",
            "No candidate ranks better than chance ({number} problems in the training period).",
        ),
    ),
    DecisionRule(
        "same_model", "keep", False, template("It is the same model as the one in service."),
    ),
    DecisionRule(
        "same_estimate", "keep", False,
        template("Nothing has changed: it is the same as the one in service."),
    ),
    DecisionRule(
        "unreadable_champion", "provisional", True,
        template(
            "The model in service, version {version}, cannot be read, so the two could not be "
            "compared."
        ),
    ),
    DecisionRule(
        "no_champion", "provisional", False, template("It ranks better than chance."),
    ),
    DecisionRule(
        "first_values", "provisional", False,
        template(
            "On readings that it had not seen its values were better than the last known one and "
            "the mean; it raises no alarm."
        ),
    ),
    DecisionRule(
        "no_mature_label", "cannot_tell", False,
        template(
            "Whether it is better cannot be told: no outcome is known yet after {start}, before "
            "which the models have learned."
        ),
    ),
    DecisionRule(
        "too_few_problems", "cannot_tell", False,
        templates(
            "Whether it is better cannot be told from {number} problem that neither model had "
            "seen; {least} are needed.",
            "Whether it is better cannot be told from {number} problems that neither model had "
            "seen; {least} are needed.",
        ),
    ),
    DecisionRule(
        "one_class", "cannot_tell", False,
        template(
            "Whether it is better cannot be told: without the alarms on which operators acted, "
            "there are not both times with and times without a problem ahead."
        ),
    ),
    DecisionRule(
        "verdict_by_acted_rows", "cannot_tell", False,
        template(
            "Whether it is better cannot be told: that depends on whether the alarms on which "
            "operators acted announced problems."
        ),
    ),
    DecisionRule(
        "not_better", "keep", False,
        templates(
            "It was no better on {number} problem that neither model had seen.",
            "It was no better on {number} problems that neither model had seen.",
        ),
    ),
    DecisionRule(
        "values_not_better", "keep", False, template("Its values were no better."),
    ),
    DecisionRule(
        "worse_forecasts", "keep", False,
        template("Its warnings were better, but its forecasts worse."),
    ),
    DecisionRule(
        "lost_assets", "provisional", True,
        template("It no longer watches {assets}, which the one in service watches."),
    ),
    DecisionRule(
        "moved", "provisional", True, template("Its limits are far from those in service."),
    ),
    DecisionRule(
        "constant", "provisional", True,
        template(
            "{constant} never changes in these readings, so nothing shows what a usual value is."
        ),
    ),
    DecisionRule(
        "no_unseen_time", "provisional", True,
        template(
            "There is no normal time that it has not seen, in which its false alarms could be "
            "counted."
        ),
    ),
    DecisionRule(
        "champion_raises_too_many", "provisional", True,
        template(
            "The model in service raises too many false alarms: normal operation has moved, or a "
            "fault goes on."
        ),
    ),
    DecisionRule(
        "lasting_alarms", "provisional", True,
        template(
            "It is in alarm for {in_alarm} of the normal time that it has not seen; at most "
            "{most_in_alarm} are allowed."
        ),
    ),
    DecisionRule(
        "too_many_alarms", "provisional", True,
        template("It raises too many false alarms in the normal time that it has not seen."),
    ),
    DecisionRule(
        "lasting_signals", "provisional", True,
        template(
            "Its signals last for {in_alarm} of the points that it has not seen; at most "
            "{most_in_alarm} are allowed."
        ),
    ),
    DecisionRule(
        "too_many_signals", "provisional", True,
        template("It has too many signals at points that it has not seen."),
    ),
    DecisionRule(
        "too_little_time", "provisional", True,
        template("There is too little normal time that it has not seen to count its false alarms."),
    ),
    DecisionRule(
        "finds_no_problem", "provisional", True,
        template("In the time that it has not seen it finds none of the problems."),
    ),
    DecisionRule(
        "too_few_points", "provisional", True,
        template("There are too few points that it has not seen to count its signals."),
    ),
    DecisionRule(
        "too_few_points_of_first", "provisional", False,
        template("There are too few points yet that it has not seen to count its signals."),
    ),
    DecisionRule(
        "fewer_problems", "provisional", True,
        template("It finds fewer of the problems than the one in service."),
    ),
    DecisionRule(
        "no_synthetic_time", "provisional", True,
        template(
            "There is no time that it has not seen in which synthetic anomalies could be tried."
        ),
    ),
    DecisionRule(
        "fewer_synthetic", "provisional", True,
        template("It finds fewer synthetic anomalies than the one in service."),
    ),
    DecisionRule(
        "too_many_on_new_assets", "provisional", True,
        template(
            "It raises too many false alarms on assets that the one in service does not watch."
        ),
    ),
    DecisionRule(
        "finds_no_anomaly", "provisional", True,
        template(
            "In the time that it has not seen it finds neither a problem nor a synthetic anomaly."
        ),
    ),
    DecisionRule(
        "finds_nothing", None, True,
        template("{reason} But no threshold finds a problem in {period} within the limits."),
    ),
    DecisionRule(
        "fixed_finds_nothing", None, True,
        template(
            "{reason} But the threshold that the definition fixes finds no problem in {period}."
        ),
    ),
    DecisionRule(
        "nothing_to_find", None, True,
        template(
            "{reason} But no problem occurs in the validation period, so nothing shows that its "
            "threshold finds one."
        ),
    ),
    DecisionRule(
        "worse_than_last", None, True,
        template(
            "{reason} But on the test period the values that it predicts were worse than the last "
            "known value alone."
        ),
    ),
    DecisionRule(
        "none_of_few_found", None, True,
        templates(
            "{reason} But its threshold finds 0 of {number} problem of the validation period.",
            "{reason} But its threshold finds 0 of {number} problems of the validation period.",
        ),
    ),
    DecisionRule(
        "found_by_chance", None, True,
        templates(
            "{reason} But its threshold finds {problems_found} of {number} problem of the "
            "validation period, and its scores before it are no higher than chance explains.",
            "{reason} But its threshold finds {problems_found} of {number} problems of the "
            "validation period, and its scores before them are no higher than chance explains.",
        ),
    ),
    DecisionRule(
        "finds_few", None, True,
        templates(
            "{reason} But it announces only {problems_found} of {number} problem of the validation "
            "period.",
            "{reason} But it announces only {problems_found} of {number} problems of the "
            "validation period.",
        ),
    ),
    DecisionRule(
        "last_value_serves", None, True,
        template(
            "{reason} But it is {repeated} alone: no other candidate is better beyond chance."
        ),
    ),
    DecisionRule(
        "better", "promote", False,
        templates(
            "It ranked better on {number} problem that neither model had seen.",
            "It ranked better on {number} problems that neither model had seen.",
        ),
    ),
    DecisionRule(
        "better_forecasts", "promote", False,
        template("Its forecasts were better, and its warnings no worse."),
    ),
    DecisionRule(
        "better_values", "promote", False, template("Its values were better."),
    ),
    DecisionRule(
        "as_allowed", "promote", False,
        template(
            "In the time that it has not seen it raised no more false alarms than chance explains "
            "at the allowed rate."
        ),
    ),
    DecisionRule(
        "newest_limits", "promote", False, template("Its limits follow the newest readings."),
    ),
    DecisionRule(
        "refreshed", "refreshed", False,
        template(
            "The model in service was fitted again on the readings up to {until}, as version "
            "{version}."
        ),
    ),
    DecisionRule(
        "gave_way", "gave_way", False,
        template(
            "Fitted on all data, the model did worse than the same one fitted on the training part "
            "alone, which serves from now on."
        ),
    ),
    DecisionRule("rejected", "rejected", False, template("{actor} rejected it: {why}")),
    DecisionRule(
        "rollback", "rollback", False,
        template("{actor} rolled back from version {before} to version {version}: {why}"),
    ),
    DecisionRule(
        "stale", "stale", False,
        template(
            "Version {serving} is in service since {since}; this one was compared with version "
            "{compared}: train again."
        ),
    ),
    DecisionRule(
        "stale_first", "stale", False,
        template(
            "Version {serving} is in service since {since}, with which this one was not compared: "
            "train again."
        ),
    ),
    DecisionRule(
        "stale_alone", "stale", False,
        template(
            "Version {compared}, with which this one was compared, is not in service any more: "
            "train again."
        ),
    ),
)  # fmt: skip
ROWS = {rule.ground: rule for rule in RULES}


def explain(ground: Objection | Outcome, **values: Value) -> Translatable:
    """Return the text of a row. Values that it does not name are left out."""
    return ROWS[ground].fill(values)
