"""Pages from templates; everything that people wrote is escaped."""

from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from alerting.reporting import words


def render(template: str, request: Request, **values: Any) -> str:
    """A page for whoever asks; `person` is None before the login, `zone` is that of the plant."""
    person, zone = getattr(request.state, "person", None), request.app.state.zone
    return _environment().get_template(template).render(person=person, zone=zone, path=request.url.path, **values)


@cache
def stylesheet() -> str:
    """The one stylesheet of all pages."""
    return files("alerting.console").joinpath("style.css").read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("alerting.console", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        instant=_instant,
        moment=_moment,
        number=words.number,
        percent=words.percent,
        sentence=lambda text: text[:1].upper() + text[1:],
        span=lambda d: words.seconds(d.total_seconds()) if d is not None else words.NONE,
        ago=_ago,
        outcome=lambda o: words.OUTCOME_WORDS[o],
        verdict=lambda v: words.VERDICT_WORDS[v],
    )
    return environment


@pass_context
def _instant(page: Context, value: datetime | None) -> str:
    return words.instant(value, page["zone"])


@pass_context
def _moment(page: Context, value: datetime) -> str:
    return words.moment(value, page["zone"])


def _ago(instant: datetime, now: datetime) -> str:
    """How long ago, as people say it; nothing for what lies ahead of a clock that stood still."""
    passed = (now - instant).total_seconds()
    return f"{words.seconds(passed).split(' ')[0]} {words.seconds(passed).split(' ')[1]} ago" if passed >= 0 else ""
