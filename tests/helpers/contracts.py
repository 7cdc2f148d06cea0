"""Contracts of ports as tables: of each claim the calls on new stores, with what each gives."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any
from unittest.mock import ANY

from alerting.adapters.mongo.mongo import MongoStores
from alerting.ports import Platform, SandboxPorts

MISSING = object()


@dataclass(frozen=True)
class Having:
    """Equals what has these attributes, or items."""

    wanted: Mapping[str, object]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Mapping):
            return other.items() >= self.wanted.items()
        return all(getattr(other, name, MISSING) == value for name, value in self.wanted.items())

    __hash__ = None  # type: ignore[assignment]


def having(**wanted: object) -> Having:
    """Return what equals everything that has these attributes, or items."""
    return Having(wanted)


def each(**values: Sequence[object]) -> list[Having]:
    """Return what equals a list whose parts have these values of one attribute, in order."""
    ((name, wanted),) = values.items()
    return [having(**{name: value}) for value in wanted]


@dataclass(frozen=True)
class Step:
    """A call of a method of a store, or of a function that takes the stores first, and what it
    gives: a value, or the class of an error."""

    call: str | Callable[..., Any]
    given: Sequence[Any]
    named: Mapping[str, Any]
    gives: Any
    is_in_unit: bool = False

    def take(self, stores: Platform | MongoStores) -> object:
        """Make the call; return what it gives."""
        is_name = isinstance(self.call, str)
        try:
            method = attrgetter(self.call)(stores) if is_name else partial(self.call, stores)
            with stores.unit_of_work.begin() if self.is_in_unit else nullcontext() as unit:
                units = [unit] if self.is_in_unit else []
                found = method(*self.given, *units, **self.named)
        except Exception as error:
            is_expected = isinstance(self.gives, type) and isinstance(error, self.gives)
            return self.gives if is_expected else error
        return list(found) if isinstance(self.gives, list) else found


def step(call: str | Callable[..., Any], *given: Any, gives: Any = ANY, **named: Any) -> Step:
    """Return a call of a method, as `episodes.find`, or of a function that takes the stores first,
    and what it gives; ANY: that is not looked at."""
    return Step(call, given, named, gives)


def unit_step(call: str, *given: Any, gives: Any = ANY, **named: Any) -> Step:
    """Return a call in a unit of work of its own, which is its last argument."""
    return Step(call, given, named, gives, is_in_unit=True)


def broken_claims(
    claims: Mapping[str, Sequence[Step]], new_stores: Callable[[], Platform | MongoStores]
) -> dict[str, list[tuple[Step, object]]]:
    """Return the claims whose calls on new stores give something else, each with those calls and
    what they gave."""
    broken = {}
    for claim, steps in claims.items():
        stores = new_stores()
        taken = [(one, one.take(stores)) for one in steps]
        wrong = [(one, found) for one, found in taken if found != one.gives]
        if wrong and not any(is_without_store(found) for _, found in taken):
            broken[claim] = wrong
    return broken


def is_without_store(error: object) -> bool:
    """Return whether a store was called that the sandbox of a backtest does not have."""
    return isinstance(error, AttributeError) and isinstance(error.obj, SandboxPorts)
