"""Rendering of pages from templates; all text written by people is escaped."""

from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from alerting.definitions.wording.clean_text import clean_text
from alerting.definitions.wording.spoken import spoken_points
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
        instant=_instant,
        moment=_moment,
        number=messages.number,
        percent=messages.percent,
        sentence=lambda text: text[:1].upper() + text[1:],
        span=lambda d: messages.seconds(d.total_seconds()) if d is not None else messages.NONE,
        when=_when,
        distance=_distance,
        plain=_plain,
        about=sentences.about,
        full=sentences.sentence,
        step=sentences.what_to_do,
        headline=sentences.headline,
        happening=sentences.happening_reason,
        range=_range,
        state=lambda state: sentences.STATE_NAMES[state],
        answer=sentences.answer,
        signed=lambda share: f"{'+' if share >= 0 else '-'}{spoken_points(abs(share))}",
        outcome=lambda o: messages.OUTCOME_NAMES[o],
        verdict=lambda v: messages.VERDICT_NAMES[v],
    )
    return environment


def _clean_value(value: Any) -> Any:
    """Return cleaned text of documents for pages; markup of the platform passes unchanged."""
    return clean_text(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@pass_context
def _instant(page: Context, value: datetime | None) -> str:
    return messages.instant(value, page["zone"])


@pass_context
def _moment(page: Context, value: datetime) -> str:
    return messages.moment(value, page["zone"])


@pass_context
def _when(page: Context, value: datetime) -> str:
    return sentences.clock_time(value, page["now"], page["zone"])


@pass_context
def _range(page: Context, start: datetime, end: datetime) -> str:
    return sentences.time_range(start, end, page["now"], page["zone"])


@pass_context
def _distance(page: Context, value: datetime) -> str:
    return sentences.distance(value, page["now"])


@pass_context
def _plain(page: Context, text: str) -> str:
    """Return stored text with its stamps as times of the plant."""
    return sentences.local_times(text, page["now"], page["zone"])
