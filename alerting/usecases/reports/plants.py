"""The platform as each of its plants sees it, for reports of their own."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from alerting.definitions.faults import UserError
from alerting.definitions.plants import Plants
from alerting.ports import Audit, AuditEntry, OfferPorts
from alerting.reporting.life.settings import plant_of_report
from alerting.usecases.access.narrow import narrow
from alerting.usecases.access.visible import VisiblePart, find_visible

P = TypeVar("P", bound=OfferPorts)
"""Ports of reports; more precisely those of the whole platform, which also has accounts."""
REPORTER = "platform"


def plant_views(platform: P) -> Iterator[P]:
    """Yield the platform, then what lies in each of its plants, by name, with their time zone,
    language and report."""
    yield platform
    assets = platform.assets.all()
    names = Plants(assets).by_name
    latest = platform.definitions.latest_revisions() if names else []
    for name in names:
        part = find_visible(((name,),), assets, latest)
        seen = narrow(platform, part, REPORTER)  # type: ignore[type-var]
        audit: Any = _PlantAudit(platform.audit, part)  # all that a report asks of it
        # a report that fails is a fault of the platform
        yield replace(seen, platform_alerts=platform.platform_alerts, audit=audit)


class _PlantAudit:
    """The audit for the report on a plant, which lists changes of its definitions and assets: an
    account with a scope reads no such list."""

    def __init__(self, audit: Audit, part: VisiblePart) -> None:
        self._audit = audit
        self._visible = part.definitions | part.assets

    def for_interval(self, start: datetime, end: datetime) -> list[AuditEntry]:
        """Return the entries on what lies in the plant, oldest first."""
        found = self._audit.for_interval(start, end)
        return [entry for entry in found if entry.subject in self._visible]


def view_for_report(platform: P, subject: str | None) -> P:
    """Return the view in which the report on a definition or a plant is made: that of the plant in
    which it lies, else the platform."""
    wanted = plant_of_report(subject)
    for view in plant_views(platform):
        is_whole = view.plant_report.subject is None
        if not is_whole and subject == view.plant_report.subject:
            return view
        if wanted is None and not is_whole:
            names = {one.name for one in view.definitions.latest_revisions()}
            if subject in names:
                return view
    if wanted:
        raise UserError(f"there is no plant {wanted!r}")
    return platform


def for_each_plant(platform: P, act: Callable[[P], int]) -> int:
    """Do something on the platform and for each plant; return the sum. A plant that fails stops no
    other. Raises UserError with all their faults, after all others."""
    done = 0
    faults = []
    for view in plant_views(platform):
        try:
            done += act(view)
        except UserError as fault:
            faults.append(str(fault))
    if faults:
        raise UserError("\n".join(faults))
    return done
