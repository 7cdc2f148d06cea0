"""Find faults of conditions of several variables: across their fields, and beside the known assets."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from alerting.definitions.assets import Asset
from alerting.definitions.faults import MISSING, Fault
from alerting.definitions.fields.conditions import Conditions, Member, MemberCondition
from alerting.definitions.model import Condition
from alerting.kinds.threshold.checks import faults_across_fields, faults_on_assets

_OF_ONE = (
    *("variable", "above", "below", "clear_above_at", "clear_below_at", "outside", "inside", "equals", "clear_inside"),
    *("clear_outside", "levels", "rate_per", "at_least", "frozen_after"),
)
_LEAST = 2


def combination_faults(definition: Conditions) -> Iterable[Fault]:
    """Return the faults across the fields of a definition with conditions of several variables."""
    how = "all" if definition.any is None else "any"
    for name in (n for n in _OF_ONE if n in definition.model_fields_set and getattr(definition, n) not in (None, "")):
        yield Fault(name, f"cannot stand beside {how}", f"write it in a condition of {how}, or remove {how}")
    yield from _list_faults("", definition)
    for path, condition in _conditions(definition):
        if not condition.variable:
            yield Fault(f"{path}variable", MISSING, "write variable: and a limit, or any: or all:")
        else:
            yield from (replace(fault, path=path + fault.path) for fault in faults_across_fields(condition))


def combination_faults_on(definition: Conditions, targets: Sequence[Asset]) -> Iterable[Fault]:
    """Return the faults of the variables and limits of each condition on the matched assets."""
    for path, condition in _conditions(definition):
        for fault in faults_on_assets(condition, targets):
            yield fault if fault.path == "assets" else replace(fault, path=path + fault.path)


def _list_faults(path: str, group: Conditions | Member) -> Iterable[Fault]:
    lists = {how: members for how in ("any", "all") if (members := getattr(group, how)) is not None}
    if len(lists) > 1:
        yield Fault(f"{path}all", "cannot stand beside any", "write one of them within the other")
    for how, members in lists.items():
        if len(members) < _LEAST:
            yield Fault(f"{path}{how}", "needs at least two conditions", "write a single one with variable: and its limit")
        for i, member in enumerate(members):
            if isinstance(member, Member) and (member.any is not None or member.all is not None):
                inner = f"{path}{how}.{i}."
                given = [n for n in Member.model_fields if n not in ("any", "all") and getattr(member, n) is not None]
                yield from (
                    Fault(f"{inner}{name}", "cannot stand beside any or all", "write another condition") for name in given
                )
                yield from _list_faults(inner, member)


def _conditions(definition: Conditions) -> Iterator[tuple[str, Condition]]:
    """Yield the condition of each single variable with its path."""
    for how in ("any", "all"):
        for i, member in enumerate(getattr(definition, how) or ()):
            yield from _inner_conditions(f"{how}.{i}.", member, definition)


def _inner_conditions(path: str, member: Member | MemberCondition, shared: Conditions) -> Iterator[tuple[str, Condition]]:
    nested = [(h, m) for h in ("any", "all") for m in enumerate(getattr(member, h, None) or ())]
    for how, (i, inner) in nested:
        yield from _inner_conditions(f"{path}{how}.{i}.", inner, shared)
    if not nested:
        yield path, member.condition(member.variable or "", shared)
