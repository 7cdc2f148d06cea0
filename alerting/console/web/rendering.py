"""Rendering of pages from templates; all text written by people is escaped."""

from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from markupsafe import Markup

from alerting.definitions.wording.clean_text import clean_text
from alerting.definitions.wording.spoken import spoken_points
from alerting.recommendation.messages import describe_unusual
from alerting.reporting import messages, sentences


def render(template: str, request: Request, **values: Any) -> str:
    """Return a page for a person (None before the login). `zone`: time zone of the plant."""
    person, zone = getattr(request.state, "person", None), request.app.state.zone
    return _environment().get_template(template).render(person=person, zone=zone, path=request.url.path, **values)


@cache
def stylesheet() -> str:
    """Return the stylesheet of all pages."""
    return files("alerting.console.web").joinpath("style.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("alerting.console.web", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_clean_value,
    )
    environment.filters.update(
        instant=_zoned(messages.instant),
        moment=_zoned(messages.moment),
        number=messages.number,
        percent=messages.percent,
        sentence=lambda text: text[:1].upper() + text[1:],
        span=lambda d: messages.seconds(d.total_seconds()) if d is not None else messages.NONE,
        when=_as_of_now(sentences.clock_time),
        distance=pass_context(lambda page, value: sentences.distance(value, page["now"])),
        plain=_as_of_now(sentences.local_times),
        about=sentences.about,
        full=sentences.sentence,
        step=sentences.what_to_do,
        headline=sentences.headline,
        happening=sentences.happening_reason,
        range=_as_of_now(sentences.time_range),
        state=lambda state: sentences.STATE_NAMES[state],
        answer=sentences.answer,
        signed=lambda share: f"{'+' if share >= 0 else '-'}{spoken_points(abs(share))}",
        unusual=describe_unusual,
        outcome=lambda o: messages.OUTCOME_NAMES[o],
        verdict=lambda v: messages.VERDICT_NAMES[v],
    )
    return environment


def _clean_value(value: Any) -> Any:
    """Return cleaned text of documents for pages; markup of the platform passes unchanged."""
    return clean_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _zoned(format_value: Callable[..., str]) -> Callable[..., str]:
    """Return a filter that formats its values in the zone of the plant."""
    return pass_context(lambda page, *values: format_value(*values, page["zone"]))


def _as_of_now(format_value: Callable[..., str]) -> Callable[..., str]:
    """Return a filter that formats its values as seen from now, in the zone of the plant."""
    return pass_context(lambda page, *values: format_value(*values, page["now"], page["zone"]))
