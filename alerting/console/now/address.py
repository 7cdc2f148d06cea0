"""Addresses of the front page: its filters, and where forms on it lead back to."""

import re
from typing import Annotated, Literal
from urllib.parse import urlencode

from fastapi import Depends, Query

from alerting.console.api.parameters import NameQuery
from alerting.definitions.model import Severity
from alerting.usecases.now.overview import NowFilters

# the front page with filters, or an alarm, and a part of it
_BACK = re.compile(r"/(episodes/\w{1,100})?(\?[\w=&%+.~-]{0,1500})?(#[\w-]{1,100})?", re.ASCII)


async def _filters(
    line: NameQuery | None = None,
    asset: NameQuery | None = None,
    severity: Annotated[
        Severity | None, Query(description="Only alarms of this severity or a worse one.")
    ] = None,
    shift: NameQuery | None = None,
    mine: Annotated[
        Literal["yes"] | None,
        Query(description="yes: only alarms that you took over or acknowledged."),
    ] = None,
) -> NowFilters:
    """Return the filters in an address."""
    return NowFilters(line, asset, severity, shift, mine == "yes")


AskedFilters = Annotated[NowFilters, Depends(_filters)]


def address_of(filters: NowFilters, **changes: str | None) -> str:
    """Return the address of the front page with these filters, some of them changed."""
    values: dict[str, str | None] = {
        "line": filters.line,
        "asset": filters.asset,
        "severity": filters.severity,
        "shift": filters.shift,
        "mine": "yes" if filters.mine else None,
    }
    given = {name: value for name, value in {**values, **changes}.items() if value}
    return f"/?{urlencode(given)}" if given else "/"


def lead_back(wanted: str, otherwise: str) -> str:
    """Return where a form leads after it was sent: the front page or an alarm, else `otherwise`."""
    return wanted if wanted and _BACK.fullmatch(wanted) else otherwise
