"""Templates of reports and decisions. In HTML all text from users is escaped."""

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from alerting.definitions.wording.spoken import spoken_false_alarms
from alerting.reporting import messages


def render(template: str, **values: Any) -> str:
    """Return a page of this package."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("alerting.reporting", "."),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=messages.number,
        percent=messages.percent,
        seconds=messages.seconds,
        false_alarms=spoken_false_alarms,
        instant=messages.instant,
        interval=messages.interval,
        amount=lambda e: messages.amount(e.value, e.unit),
        outcome=lambda o: messages.OUTCOME_NAMES[o],
        taken=lambda t: messages.TAKEN_NAMES[t],
        share_or_number=messages.share_or_number,
        capitalize_first=lambda text: text[:1].upper() + text[1:],
        money=lambda amount, currency: messages.money(amount.low, amount.high, currency),
        metric_title=lambda name: messages.METRIC_TITLES.get(name, name.replace("_", " ")),
        verdict=lambda v: messages.VERDICT_NAMES.get(v, "no verdict"),
    )
    return environment
