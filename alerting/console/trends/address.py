"""Addresses of trends: the page's own parameters, and links of other pages."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from alerting.definitions.assets import Asset
from alerting.episodes.episode import Episode

MOST_VARIABLES = 12
_BEFORE = timedelta(hours=2)
_AFTER = timedelta(minutes=30)


class Asked(NamedTuple):
    """The parameters of the page, as they are in its address."""

    asset: str
    variables: tuple[str, ...]
    start: str
    end: str
    span: str
    find: str
    above: str
    below: str
    lasting: str

    def address(self, **changes: Any) -> str:
        """Return the address of the page with other parameters."""
        it = self._replace(**changes)
        pairs = [
            ("asset", it.asset),
            *(("variable", name) for name in it.variables),
            *((name, getattr(it, name)) for name in ("start", "end", "span", "find", "above")),
            ("below", it.below),
            ("for", it.lasting),
        ]
        return f"/trends?{urlencode([pair for pair in pairs if pair[1]])}"

    def over(self, start: datetime, end: datetime) -> str:
        """Return the address of the page over another time."""
        return self.address(start=stamp(start), end=stamp(end), span="")


def trend_of_variables(
    asset: Asset | None, names: Iterable[str], start: datetime, end: datetime
) -> str | None:
    """Return the address of the trend of those names that are numbers of an asset; None without
    any."""
    numbers = set(numeric_names(asset)) if asset is not None else set()
    found = tuple(name for name in dict.fromkeys(names) if name in numbers)
    if asset is None or not found:
        return None
    asked = Asked(asset.name, found[:MOST_VARIABLES], "", "", "", "", "", "", "")
    return asked.over(start, end)


def trend_of_episode(asset: Asset | None, episode: Episode, now: datetime) -> str | None:
    """Return the address of the trend of an episode's variables around it."""
    until = min((episode.closed_at or now) + _AFTER, max(now, episode.raised_at))
    names = variables_of(episode)
    return trend_of_variables(asset, names, episode.raised_at - _BEFORE, until)


def variables_of(episode: Episode) -> list[str]:
    """Return the names of an episode's limits, reasons and advice."""
    advised = episode.recommendation.changes if episode.recommendation else ()
    return [
        *episode.inputs,
        *(one.variable for one in episode.contributions),
        *(change.variable for change in advised),
    ]


def numeric_names(asset: Asset) -> list[str]:
    """Return the variables of an asset that are numbers."""
    return [name for name, declared in asset.variables.items() if declared.type == "number"]


def stamp(at: datetime) -> str:
    """Return an instant as it stands in addresses."""
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
