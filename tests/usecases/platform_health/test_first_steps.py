"""The steps to a first alarm, by what there is."""

import pytest

from alerting.usecases.platform_health.last_runs import first_steps

NAMES = ("has_data", "definitions", "active", "routes")


@pytest.mark.parametrize(
    ("there", "done", "following"),
    [
        ({}, [], "connect"),
        ({"has_data": True}, ["connect"], "look"),
        ({"has_data": True, "definitions": 1}, ["connect", "look", "ask"], "preview"),
        (
            {"has_data": True, "definitions": 1, "active": 1},
            ["connect", "look", "ask", "preview", "apply"],
            "notify",
        ),
        ({"routes": 1}, ["notify"], "connect"),
        ({"definitions": 1, "routes": 1}, ["ask", "notify"], "connect"),
        (
            {"has_data": True, "definitions": 3, "active": 1, "routes": 1},
            ["connect", "look", "ask", "preview", "apply", "notify"],
            None,
        ),
    ],
)
def test_each_step_knows_whether_it_is_done_and_one_is_next(there, done, following):
    steps = first_steps(*(bool(there.get(name)) for name in NAMES))
    assert [step.name for step in steps] == [
        "connect", "look", "ask", "preview", "apply", "notify",
    ]  # fmt: skip
    assert [step.name for step in steps if step.is_done] == done
    assert [step.name for step in steps if step.is_next] == ([following] if following else [])
