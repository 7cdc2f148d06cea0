"""The modes of a problem: the named problems of which an alarm says which one is probable."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Annotated, Any

from pydantic import Field, StrictBool, TypeAdapter, ValidationError

from alerting.definitions.asset_documents import Asset, Closed, EventType, Line, Tag, VariableName
from alerting.definitions.faults import Fault
from alerting.definitions.fields.condition_checks import variable_faults
from alerting.definitions.fields.definition_checks import event_faults, problem_faults
from alerting.definitions.fields.names_and_times import Number, Paragraph
from alerting.definitions.fields.problem import Problem, describe_problem

MOST_MODES = 20
_LIMITS = ("variable", "above", "below", "equals", "event")


class Mode(Closed):
    """One of the named problems: a condition on a variable, or an event type."""

    variable: VariableName | None = Field(None, description="Variable that shows the mode.")
    above: Number | None = Field(None, description="The mode is a value above this limit.")
    below: Number | None = Field(None, description="The mode is a value below this limit.")
    equals: StrictBool | Number | Line | None = Field(
        None, description="The mode is exactly this value."
    )
    event: Tag | None = Field(None, description="Event type that is the mode.")
    action: Paragraph | None = Field(
        None, description="The first step if this mode is the probable one, instead of guidance."
    )


Modes = Annotated[dict[VariableName, Mode], Field(max_length=MOST_MODES)]
_MODES = TypeAdapter[dict[str, Mode]](Modes)


def with_problem_of_modes(document: Any) -> Any:
    """Return the document of a definition; if it has modes and no problem, with the problem that
    any of them comes: one of the conditions, or an event that begins as all of theirs."""
    if not isinstance(document, dict) or not document.get("modes") or document.get("problem"):
        return document
    try:
        modes = _MODES.validate_python(document["modes"])
    except ValidationError:  # its faults are those of the modes
        return {**document, "problem": {"any": []}}
    written = [mode.model_dump(include={*_LIMITS}, exclude_none=True) for mode in modes.values()]
    events = [mode["event"] for mode in written if "event" in mode]
    if not events:
        return {**document, "problem": {"any": written}}
    alike = takewhile(lambda pair: pair[0] == pair[1], zip(min(events), max(events), strict=False))
    return {**document, "problem": {"event": f"{''.join(a for a, _ in alike)}*"}}


def problems_of_modes(modes: Mapping[str, Mode], problem: Problem) -> dict[str, Problem]:
    """Return the problem of each mode: its condition, for the time and with the rules of the whole
    problem."""
    return {
        name: problem.model_copy(
            update={
                **{field: getattr(mode, field) for field in _LIMITS},
                **dict.fromkeys(("any", "all", "clear")),
            }
        )
        for name, mode in modes.items()
    }


def mode_faults(problems: Mapping[str, Problem], problem: Problem) -> Iterable[Fault]:
    """Return the faults of modes: of each one, and beside each other and the problem."""
    if len(problems) == 1:
        yield Fault("modes", "has only one mode", "add another one, or remove modes")
    by_condition: dict[str, str] = {}
    for name, mode in problems.items():
        yield from (
            replace(fault, path=fault.path.replace("problem", f"modes.{name}", 1))
            for fault in problem_faults(mode)
        )
        first = by_condition.setdefault(describe_problem(mode), name)
        if first != name:
            yield Fault(f"modes.{name}", f"is the same as mode {first}", "remove one of them")
    if {mode.event is None for mode in (problem, *problems.values())} == {True, False}:
        yield Fault(
            "modes",
            "are events and conditions on variables, or the problem is",
            "write each as a condition on a variable, or each as an event",
        )
    if problem.event == "*":
        yield Fault("problem", "is missing", "the events of the modes begin differently")


def mode_faults_on(
    problems: Mapping[str, Problem], targets: Sequence[Asset], event_types: Sequence[EventType]
) -> Iterable[Fault]:
    """Return the faults of the variables and event types of modes."""
    types = {name: v.type for asset in targets for name, v in asset.variables.items()}
    for name, mode in problems.items():
        for variable in mode.variables:
            yield from variable_faults(f"modes.{name}.variable", variable, types, mode.equals)
        if mode.event is not None:
            yield from event_faults(f"modes.{name}.event", [mode.event], event_types)
