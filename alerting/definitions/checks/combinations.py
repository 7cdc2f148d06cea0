"""Find faults of conditions of several variables: across fields, and with assets."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from alerting.definitions.assets import Asset
from alerting.definitions.checks.conditions import faults_across_fields, faults_on_assets
from alerting.definitions.faults import MISSING, Fault
from alerting.definitions.fields.condition import DEFAULTS, Condition
from alerting.definitions.fields.conditions import Conditions
from alerting.definitions.fields.problem import Problem

_OF_ONE = (
    *(
        "variable",
        "above",
        "below",
        "clear_above_at",
        "clear_below_at",
        "outside",
        "inside",
        "equals",
        "clear_inside",
    ),
    *("clear_outside", "levels", "rate_per", "at_least", "frozen_after"),
)


def combination_faults(definition: Conditions) -> Iterable[Fault]:
    """Return the faults across the fields of a definition with conditions of several variables."""
    yield from _faults("", definition, _OF_ONE, definition)


def combined_problem_faults(problem: Problem) -> Iterable[Fault]:
    """Return the faults across the fields of a problem with conditions of several variables."""
    yield from _faults(
        "problem.", problem, ("variable", "above", "below", "equals", "event"), DEFAULTS
    )


def combination_faults_on(
    written: Conditions | Problem, targets: Sequence[Asset], path: str = ""
) -> Iterable[Fault]:
    """Return the faults of each condition on matched assets. `path`: where they are."""
    for own, condition in _conditions(
        path, written, written if isinstance(written, Conditions) else DEFAULTS
    ):
        for fault in faults_on_assets(condition, targets):
            yield fault if fault.path == "assets" else replace(fault, path=own + fault.path)


def _faults(
    path: str, written: Conditions | Problem, of_one: Sequence[str], shared: Condition
) -> Iterable[Fault]:
    how = "all" if written.any is None else "any"
    for name in (
        n for n in of_one if n in written.model_fields_set and getattr(written, n) not in (None, "")
    ):
        yield Fault(
            f"{path}{name}",
            f"cannot stand beside {how}",
            f"write it in a condition of {how}, or remove {how}",
        )
    yield from _list_faults(path, written)
    for own, condition in _conditions(path, written, shared):
        if not condition.variable:
            yield Fault(
                f"{own}variable",
                MISSING,
                "write variable: and a limit, or any: or all:",
            )
        else:
            yield from (
                replace(fault, path=own + fault.path) for fault in faults_across_fields(condition)
            )


def _list_faults(path: str, group: Any) -> Iterable[Fault]:
    lists = {how: members for how in ("any", "all") if (members := getattr(group, how)) is not None}
    if len(lists) > 1:
        yield Fault(
            f"{path}all",
            "cannot stand beside any",
            "write one of them within the other",
        )
    for how, members in lists.items():
        if len(members) < 2:
            yield Fault(
                f"{path}{how}",
                "needs at least two conditions",
                "write a single one with variable: and its limit",
            )
        for i, member in enumerate(members):
            if getattr(member, "any", None) is not None or getattr(member, "all", None) is not None:
                inner = f"{path}{how}.{i}."
                given = [
                    n
                    for n in type(member).model_fields
                    if n not in ("any", "all") and getattr(member, n) is not None
                ]
                yield from (
                    Fault(
                        f"{inner}{name}",
                        "cannot stand beside any or all",
                        "write another condition",
                    )
                    for name in given
                )
                yield from _list_faults(inner, member)


def _conditions(path: str, written: Any, shared: Condition) -> Iterator[tuple[str, Condition]]:
    nested = [
        (how, i, member)
        for how in ("any", "all")
        for i, member in enumerate(getattr(written, how, None) or ())
    ]
    for how, i, member in nested:
        inner = f"{path}{how}.{i}."
        yield from list(_conditions(inner, member, shared)) or [
            (inner, member.condition(member.variable or "", shared))
        ]
