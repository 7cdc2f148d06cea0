"""Page on the life cycle of an alarm, made from the table of rules that the platform applies."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import get_args

from alerting.definitions.faults import format_duration
from alerting.operators.actions_and_mutes import (
    ISA_LETTERS,
    LONGEST_MUTE,
    RULES,
    Flag,
    Flags,
    IsaState,
    isa_state,
    move,
    refusal,
)

_INTRODUCTION = """# Life cycle of an alarm

Made from the table in `alerting/operators/actions_and_mutes.py` by `make docs`; do not edit.

The **condition** of an episode is pending, open or closed, and is changed by readings and events; an operator can close only
what no reading ends. An alarm that stands says why now: when another of its conditions is true (another variable, side, rule, or missing data), for as long
as `for` says, its reason and value are renewed, and whoever was told is told once for each condition; while nothing is known it says since when, and what was known. The actions of **operators** are flags beside it; out of service hides shelved, and both hide suppressed. Names and letters are those of ISA-18.2 and IEC
62682; the platform claims no certified compliance. What is sent in which state:
[what is not sent, and why](notifications.md#what-is-not-sent-and-why).

- `active` and `acknowledged` belong to an episode. `shelved` and `out_of_service` follow from the [mutes](suppression.md) that
  cover it, `suppressed` from the definition's [suppression](suppression.md).
- To confirm is more than to acknowledge: something was done. It counts in the outcome.
"""  # noqa: E501


def life_cycle_page() -> str:
    """Return the page in Markdown: names of the states, the rules, and what every action does in
    every state."""
    return "\n".join([_INTRODUCTION, _states(), _rules(), _limits(), _product()])


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _every_state() -> list[Flags]:
    return [Flags(*values) for values in product((False, True), repeat=len(get_args(Flag)))]


def _message(flags: Mapping[Flag, bool]) -> str:
    """Return the flags that are set, and whether it is acknowledged, where that decides."""
    return ", ".join(
        f"{'' if value else 'not '}{flag.replace('_', ' ')}"
        for flag, value in flags.items()
        if value or flag == "acknowledged"
    )


def _states() -> str:
    rows = []
    for state, letter in ISA_LETTERS.items():
        same = [flags for flags in _every_state() if isa_state(flags) == state]
        values = {flag: {bool(getattr(flags, flag)) for flags in same} for flag in get_args(Flag)}
        rows.append(
            (
                letter,
                state,
                _message({flag: found.pop() for flag, found in values.items() if len(found) == 1}),
            )
        )
    return "## States\n\n" + _table(("ISA-18.2", "state", "flags that decide"), rows)


def _rules() -> str:
    lines = [
        f"- **{rule.action.replace('_', ' ')}** ({rule.by or 'the platform'}): {rule.description}"
        for rule in RULES
    ]
    return "## Actions, and who may take them\n\n" + "\n".join(lines) + "\n"


def _limits() -> str:
    allowed = [f"{role} {format_duration(most)}" for role, most in LONGEST_MUTE.items() if most]
    return f"## Longest mute\n\nBy role: {', '.join(allowed)}.\n"


def _product() -> str:
    """Return the table by names: states with the same name behave alike but for flags underneath,
    which come back afterwards."""
    moving = [
        i for i in range(len(RULES)) if any(_after(s, i) != ISA_LETTERS[s] for s in ISA_LETTERS)
    ]
    head = ("state", *(RULES[i].action.replace("_", " ") for i in moving))
    rows = [
        (f"{ISA_LETTERS[state]} {state}", *(_after(state, i) for i in moving))
        for state in ISA_LETTERS
    ]
    return (
        "## Transitions\n\n✗ is refused. Several letters: the result depends on the flags that a "
        "mute hides. Comment and assign change no state.\n\n" + _table(head, rows)
    )


def _after(state: IsaState, rule: int) -> str:
    action = RULES[rule].action
    befores = [f for f in _every_state() if isa_state(f) == state]
    letters = {
        "✗" if refusal(f, action) else ISA_LETTERS[isa_state(move(f, action))] for f in befores
    }
    return " ".join(sorted(letters))
