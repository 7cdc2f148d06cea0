"""Changes of one route by people at the console, from the content that they have read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from alerting.definitions.faults import Fault, NotFound
from alerting.definitions.revisions import flat_changes
from alerting.definitions.routes import RouteRefused, route_document
from alerting.ports import Document, RoutePorts, Routes
from alerting.usecases.definitions.edits import NEW, content_tag, require_content
from alerting.usecases.notification.routes import (
    apply_routes,
    parse_known_route,
    plan_routes,
    remove_route,
    routes_by_name,
)


@dataclass(frozen=True)
class RouteReview:
    """The effect that applying a route would have; a faulty one has faults alone. `changes`: field
    to its value before and after."""

    name: str
    action: Literal["new", "changed", "unchanged"]
    faults: tuple[Fault, ...] = ()
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


def require_route(routes: Routes, name: str) -> Document:
    """Return the document of a route, valid or not. Raises NotFound for an unknown one."""
    found = routes_by_name(routes).get(name)
    if found is None:
        raise NotFound(f"there is no route {name!r}")
    return found


def review_route(platform: RoutePorts, document: Document) -> RouteReview:
    """Return the effect of a document, with all its faults. Writes nothing."""
    try:
        route = parse_known_route(platform, document)
    except RouteRefused as refusal:
        return RouteReview(refusal.name, NEW, refusal.faults)
    before = routes_by_name(platform.routes).get(route.name)
    (plan,) = plan_routes(platform, [document])
    changes = {} if before is None else flat_changes(before, route_document(route))
    return RouteReview(route.name, plan.action, (), changes)


def apply_route(
    platform: RoutePorts,
    document: Document,
    expected: str,
    actor: str,
    now: datetime,
    reason: str,
) -> RouteReview:
    """Store a route that was made from the expected content, a tag or `new`; return what it
    changed. Raises RouteRefused with all faults, and ChangedMeanwhile for another content."""
    review = review_route(platform, document)
    if review.faults:
        raise RouteRefused(review.name, review.faults)
    _require_content(platform, review.name, expected)
    apply_routes(platform, [document], actor, now, reason)
    return review


def remove_one_route(
    platform: RoutePorts, name: str, expected: str | None, actor: str, now: datetime, reason: str
) -> None:
    """Remove a route of the expected content, valid or not; the audit holds its document. Raises
    NotFound for an unknown one, and ChangedMeanwhile for another content."""
    require_route(platform.routes, name)
    if expected is not None:
        _require_content(platform, name, expected)
    remove_route(platform, name, actor, now, reason)


def tag_of_route(document: Document) -> str:
    """Return the content tag of a stored route."""
    return content_tag(document)


def _require_content(platform: RoutePorts, name: str, expected: str) -> None:
    stored = routes_by_name(platform.routes).get(name)
    require_content(platform.audit, "route", name, stored, expected)
