"""Findings in proportion: one sentence a kind, with its number and the first names."""

from typing import get_args

import pytest

from alerting.learning.data.findings import Finding, Kind, describe_findings

pytestmark = pytest.mark.fast


def stuck(name: str, share: float) -> Finding:
    return Finding("flat", name, share, "kept", f"{name} was probably stuck.")


def test_many_findings_of_a_kind_are_one_sentence_with_their_number_and_the_worst_names():
    findings = [stuck(f"sensor_{i}", i / 1000) for i in range(351)]
    [sentence] = describe_findings(findings)
    assert sentence.startswith(
        "351 variables (sensor_350, sensor_349, sensor_348, sensor_347, sensor_346 and 346 more) "
        "repeat"
    )


def test_a_single_finding_keeps_its_message():
    assert describe_findings([stuck("flow", 0.2)]) == ["flow was probably stuck."]


def test_findings_of_one_variable_on_several_assets_are_its_worst_one_and_their_number():
    gaps = [
        Finding("gaps", "flow", share, "kept", f"flow has gaps of {share:.0%}.")
        for share in (0.1, 0.3, 0.2)
    ]
    assert describe_findings(gaps) == ["flow has gaps of 30%. (2 more findings on it.)"]


def test_kinds_stay_apart_and_in_their_order():
    findings = [
        Finding("silent_asset", "oven-1", 0, "left out", "-"),
        Finding("gaps", "oven-2", 0.1, "left out", "-"),
        Finding("silent_asset", "oven-3", 0, "left out", "-"),
        Finding("gaps", "flow", 0.1, "kept", "flow has gaps."),
        Finding("gaps", "oven-4", 0.2, "left out", "-"),
    ]
    silent, of_assets, of_variables = describe_findings(findings)
    assert silent.startswith("2 assets (oven-1, oven-3) have no readings")
    assert of_assets.startswith("2 assets (oven-4, oven-2) have gaps")
    assert of_variables == "flow has gaps."


@pytest.mark.parametrize("kind", get_args(Kind))
def test_every_kind_that_names_variables_has_a_sentence_for_several(kind):
    consequences = {"gaps": ("left out", "kept")}.get(
        kind, (CONSEQUENCES[kind],) if kind in CONSEQUENCES else ("kept",)
    )
    for consequence in consequences:
        names = (None, None) if kind in UNIQUE else ("a", "b")
        [sentence] = describe_findings([Finding(kind, name, 1, consequence, "-") for name in names])
        assert kind in UNIQUE or ("(a, b)" in sentence and sentence.startswith(("2 ", "Only few")))


UNIQUE = (
    "answers",
    "bursts",
    "row_limit",
    "derived",
    "unseen_problem",
)  # at most one of a training
CONSEQUENCES = dict.fromkeys(
    (
        "silent_asset",
        "no_value",
        "too_many_levels",
        "out_of_range",
        "bad_quality",
        "unmatched_events",
        "strays",
    ),
    "left out",
)
