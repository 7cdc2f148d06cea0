"""The numbers of one definition's report, stored with it, and those of all definitions together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter

from alerting.reporting.definition.money import Amount, Money


@dataclass(frozen=True)
class DefinitionNumbers:
    """Numbers of one definition over a period.

    `weeks`: evaluated asset-weeks. `problems`: those that could be announced. `announced`: how many
    of them were.
    """

    name: str
    title: str
    weeks: float
    episodes: int
    hits: int
    avoided: int
    false_alarms: int
    problems: int
    announced: int
    money: Money | None = None

    @property
    def decided(self) -> int:
        """Return of how many alarms the outcome is known."""
        return self.hits + self.avoided + self.false_alarms


@dataclass(frozen=True)
class MoneySums:
    """Sums of one currency: of problems that came, and what alarms were worth after the cost of
    false alarms and interventions."""

    currency: str
    lost: Amount
    net: Amount


_ADAPTER = TypeAdapter(DefinitionNumbers)


def read_summary(document: Any) -> DefinitionNumbers:
    """Return the numbers of a stored report. Raises pydantic.ValidationError if it is damaged."""
    return _ADAPTER.validate_python(document)


def sum_money(given: Sequence[Money]) -> list[MoneySums]:
    """Return the sums by currency; currencies are never added up."""

    def total(currency: str, *of: Callable[[Money], Amount]) -> Amount:
        amounts = [get(m) for m in given if m.currency == currency for get in of]
        return Amount(sum(a.low for a in amounts), sum(a.high for a in amounts))

    return [
        MoneySums(
            one,
            total(one, lambda m: m.missed, lambda m: m.announced),
            total(one, lambda m: m.net),
        )
        for one in sorted({m.currency for m in given})
    ]
