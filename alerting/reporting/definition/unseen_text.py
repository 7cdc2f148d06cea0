"""What a model found in the period that its training had not seen, in one sentence: the same for
the command, the pages and reports."""

from collections.abc import Mapping
from typing import Any

from alerting.definitions.wording.language import (
    Styled,
    Translatable,
    joined,
    template,
    templates,
    translatable,
    translatable_count,
)

TEST_COUNTS = (  # by which `describe_test` describes a test period
    *("n_events", "n_found", "n_false_alarms", "n_with_problem", "n_assets", "days", "units"),
    *("false_alarms_per_week", "median_lead_time"),
)
_DAYS = templates("On {number} unseen day (test):", "On {number} unseen days (test):")
_PARTS = templates("On {number} unseen part (test):", "On {number} unseen parts (test):")
_HOURS = template("On {duration} of unseen time (test):")
_UNSEEN_TIME = template("In the test period:")
_ANNOUNCED = templates(
    "{found} of {number} problem announced", "{found} of {number} problems announced"
)
_FOUND = templates("{found} of {number} problem found", "{found} of {number} problems found")
_WITH_PROBLEM = templates(
    "{number} alarm came with the problem itself (right, but too late)",
    "{number} alarms came with the problem itself (right, but too late)",
)
_FALSE = templates("{number} false alarm", "{number} false alarms")
_FALSE_A_WEEK = templates(
    "{number} false alarm ({rate} a week)", "{number} false alarms ({rate} a week)"
)
_FALSE_ON_ALL = templates(
    "{number} false alarm ({rate} a week on all {assets} assets)",
    "{number} false alarms ({rate} a week on all {assets} assets)",
)
_FALSE_IN_PARTS = templates(
    "{number} false alarm ({rate} in 1,000 parts)", "{number} false alarms ({rate} in 1,000 parts)"
)
_LARGE_RATE = 99.5  # from here on in whole numbers
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
    forms = _ANNOUNCED if test.get("units") is None else _FOUND
    late = test.get("n_with_problem", 0)
    lead = test.get("median_lead_time")
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
            translatable_count(*_WITH_PROBLEM, late) if late else "",
            _describe_false_alarms(test),
        ),
    )


def _describe_period(test: Mapping[str, Any]) -> Translatable:
    days = test.get("days")
    if test.get("units") is not None:
        return translatable_count(*_PARTS, test["units"])
    if days is None:
        return translatable(_UNSEEN_TIME)
    if days >= _LEAST_DAYS:
        return translatable_count(*_DAYS, round(days))
    return translatable(_HOURS, duration=Styled(round(days * 24) * 3600.0, "duration"))


def _describe_false_alarms(test: Mapping[str, Any]) -> Translatable:
    count = test["n_false_alarms"]
    weekly = test.get("false_alarms_per_week")
    if not count:
        return translatable("no false alarm")
    if test.get("units"):
        rate = Styled(1000 * count / test["units"], ".2g")
        return translatable_count(*_FALSE_IN_PARTS, count, rate=rate)
    if weekly is None:
        return translatable_count(*_FALSE, count)
    assets = test.get("n_assets", 1)
    forms = _FALSE_A_WEEK if assets == 1 else _FALSE_ON_ALL
    on_all = {} if assets == 1 else {"assets": Styled(assets, "count")}
    return translatable_count(*forms, count, rate=_rate(weekly * assets), **on_all)


def _rate(value: float) -> Styled:
    return Styled(value, "count" if value >= _LARGE_RATE else ".2g")


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
