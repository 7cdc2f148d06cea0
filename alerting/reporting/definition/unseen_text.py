"""What a model found in the period that its training had not seen, in one sentence: the same for
the command, the pages and reports."""

from collections.abc import Mapping
from typing import Any

from alerting.definitions.wording.language import (
    Styled,
    Translatable,
    joined,
    templates,
    translatable,
    translatable_count,
)

TEST_COUNTS = (  # by which `describe_test` describes a test period
    *("n_events", "n_found", "n_false_alarms", "n_with_problem", "n_assets", "days", "units"),
    *("false_alarms_per_week", "median_lead_time"),
)
_LEAST_DAYS = 1.5  # a shorter period is told in hours


def describe_unseen(version: int, test: Mapping[str, Any]) -> Translatable | None:
    """Say what a version found in the test period of its training; None where no problems were
    counted in it."""
    sentence = describe_test(test)
    if sentence is None:
        return None
    return translatable("Version {version}. {sentence}", version=str(version), sentence=sentence)


def describe_test(test: Mapping[str, Any]) -> Translatable | None:
    """Say what a model found in the test period of its training: announced problems, those that
    came with their alarm, and false alarms; None where no problems were counted in it."""
    if test.get("n_events") is None:
        return None
    late = test.get("n_with_problem", 0)
    lead = test.get("median_lead_time")
    forms = (
        templates("{found} of {number} problem announced", "{found} of {number} problems announced")
        if test.get("units") is None
        else templates("{found} of {number} problem found", "{found} of {number} problems found")
    )
    return translatable(
        "{period} {findings}.",
        period=_describe_period(test),
        findings=joined(
            "; ",
            joined(
                ", ",
                translatable_count(*forms, test["n_events"], found=Styled(test["n_found"], "count"))
                if test["n_events"]
                else translatable("no problem"),
                ""
                if lead is None
                else translatable("typically {duration} ahead", duration=Styled(lead, "duration")),
            ),
            translatable_count(
                "{number} alarm came with the problem itself (right, but too late)",
                "{number} alarms came with the problem itself (right, but too late)",
                late,
            )
            if late
            else "",
            _describe_false_alarms(test),
        ),
    )


def _describe_period(test: Mapping[str, Any]) -> Translatable:
    match test.get("units"), test.get("days"):
        case int(units), _:
            return translatable_count(
                "On {number} unseen part (test):", "On {number} unseen parts (test):", units
            )
        case _, None:
            return translatable("In the test period:")
        case _, days if days >= _LEAST_DAYS:
            return translatable_count(
                "On {number} unseen day (test):", "On {number} unseen days (test):", round(days)
            )
        case _, days:
            return translatable(
                "On {duration} of unseen time (test):",
                duration=Styled(round(days * 24) * 3600.0, "duration"),
            )


def _describe_false_alarms(test: Mapping[str, Any]) -> Translatable:
    count = test["n_false_alarms"]
    weekly = test.get("false_alarms_per_week")
    assets = test.get("n_assets", 1)
    if not count:
        return translatable("no false alarm")
    if test.get("units"):
        return translatable_count(
            "{number} false alarm ({rate} in 1,000 parts)",
            "{number} false alarms ({rate} in 1,000 parts)",
            count,
            rate=Styled(1000 * count / test["units"], ".2g"),
        )
    if weekly is None:
        return translatable_count("{number} false alarm", "{number} false alarms", count)
    rate = Styled(weekly * assets, "count" if weekly * assets >= 99.5 else ".2g")
    if assets == 1:
        return translatable_count(
            "{number} false alarm ({rate} a week)",
            "{number} false alarms ({rate} a week)",
            count,
            rate=rate,
        )
    return translatable_count(
        "{number} false alarm ({rate} a week on all {assets} assets)",
        "{number} false alarms ({rate} a week on all {assets} assets)",
        count,
        rate=rate,
        assets=Styled(assets, "count"),
    )


def count_in_parts(test: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the metrics of a test period; those of parts with false alarms in 1,000 of them, since
    their weeks may be invented."""
    weekly = test.get("false_alarms_per_week")
    if not test.get("units") or not weekly:
        return test
    rate = 1000 * test["n_false_alarms"] / test["units"]
    intervals = dict(test.get("intervals", {}))
    if bounds := intervals.get("false_alarms_per_week"):
        intervals["false_alarms_per_week"] = [bound * rate / weekly for bound in bounds]
    return {**test, "false_alarms_per_week": rate, "intervals": intervals}
