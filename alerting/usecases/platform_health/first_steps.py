"""The first hour with an empty platform: the steps to a first alarm, and which of them are done."""

from dataclasses import dataclass
from typing import Literal

StepName = Literal["connect", "look", "ask", "preview", "apply", "notify"]


@dataclass(frozen=True)
class FirstCounts:
    """Counts of things. `definitions`: stored ones, drafts among them; `active`: in service.
    `has_data`: whether any reading is stored."""

    has_data: bool
    definitions: int
    active: int
    routes: int


@dataclass(frozen=True)
class FirstStep:
    """A step; one of those that are not done is `next`."""

    name: StepName
    is_done: bool
    is_next: bool


def first_steps(counts: FirstCounts) -> tuple[FirstStep, ...]:
    """Return the steps to a first alarm in their order.

    Looking at data and trying a draft leave no trace: they are done once a definition is stored,
    or in service.
    """
    has_data = counts.has_data
    asked = counts.definitions > 0
    applied = counts.active > 0
    done: dict[StepName, bool] = {
        "connect": has_data,
        "look": has_data and asked,
        "ask": asked,
        "preview": applied,
        "apply": applied,
        "notify": counts.routes > 0,
    }
    following = next((name for name, is_done in done.items() if not is_done), None)
    return tuple(FirstStep(name, is_done, name == following) for name, is_done in done.items())
