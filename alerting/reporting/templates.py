"""Templates of reports and decisions; in HTML all text from users is escaped."""

from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context, select_autoescape
from jinja2.runtime import Context
from markupsafe import Markup, escape

from alerting.definitions.wording.clean_text import clean_text
from alerting.definitions.wording.language import ENGLISH, Language
from alerting.reporting import phrases


def render(template: str, language: Language = ENGLISH, **values: Any) -> str:
    """Return a page of this package in a language."""
    return environment().get_template(template).render(language=language, **values)


@pass_context
def say(page: Context, template: str, /, **values: Any) -> Markup:
    """Return a template in the language of the page, with its values escaped."""
    language: Language = page["language"]
    return Markup(language.say(template, **_escaped(language, values)))  # noqa: S704 - values are escaped


@pass_context
def count(page: Context, singular: str, plural: str, number: float, /, **values: Any) -> Markup:
    """Return the form of a template that fits a number."""
    language: Language = page["language"]
    return Markup(language.say_count(singular, plural, number, **_escaped(language, values)))  # noqa: S704 - values are escaped


def _escaped(language: Language, values: dict[str, Any]) -> dict[str, str]:
    return {
        name: escape(v if isinstance(v, Markup) else clean_text(language.show(v)))
        for name, v in values.items()
    }


def in_language(format_value: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that takes the language of the page before its value."""
    return pass_context(lambda page, *values: format_value(page["language"], *values))


def worded(format_value: Callable[..., str]) -> Callable[..., str]:
    """Return a filter that formats its values in the language of the page."""
    return pass_context(lambda page, *values: format_value(*values, language=page["language"]))


# Filters that reports and the console share.
TEXT_FILTERS: dict[str, Callable[..., Any]] = {
    "t": in_language(lambda language, text: language.translate(text)),
    "number": worded(phrases.number),
    # a stated fact, a year or a model, with all its digits and no marks between thousands
    "exact_number": in_language(lambda language, value: language.digits(f"{value:.15g}")),
    "percent": worded(phrases.percent),
    "outcome": in_language(lambda language, o: language.translate(phrases.OUTCOME_NAMES[o])),
}


@cache
def environment() -> Environment:
    """Return the templates of this package with their filters."""
    environment = Environment(
        loader=PackageLoader("alerting.reporting", "."),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(_=say, _n=count)
    environment.filters.update(
        TEXT_FILTERS,
        short=lambda value: f"{value:g}",
        seconds=worded(phrases.seconds),
        false_alarms=in_language(
            lambda language, rate, assets: language.translate(phrases.false_alarms(rate, assets))
        ),
        instant=phrases.instant,
        digits=in_language(lambda language, text: language.digits(text)),
        interval=worded(phrases.interval),
        amount=worded(lambda e, language: phrases.amount(e.value, e.unit, language)),
        taken=in_language(lambda language, t: language.translate(phrases.OPERATOR_TOOK[t])),
        capitalize_first=lambda text: text[:1].upper() + text[1:],
        money=worded(
            lambda amount, currency, language: phrases.money(
                amount.low, amount.high, currency, language
            )
        ),
        metric_title=in_language(
            lambda language, name: language.translate(phrases.TITLES_AT_PROMOTION[name])
        ),
        verdict=in_language(
            lambda language, v: language.translate(phrases.VERDICT_NAMES.get(v, phrases.NO_VERDICT))
        ),
    )
    return environment
