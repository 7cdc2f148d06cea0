"""Calls about platform. Made by `python -m tools.client`."""

from collections.abc import Iterator
from typing import Literal

from alerting.client.shapes.platform import (
    AuditEntryView,
    AuditPageView,
    NewTokenView,
    PlatformAlertView,
    RetryBody,
    RetryView,
    RouteBody,
    RouteChangeView,
    RouteDetail,
    RoutesOverview,
    TestView,
    TokenBody,
    TokenView,
)
from alerting.client.transport import Transport, segment
from alerting.client.values import Instant


class PlatformCalls(Transport):
    """Calls about platform."""

    def health(self) -> dict[str, str]:
        """Check that the API and its database answer. Needs no token."""
        answer: dict[str, str] = self.call("GET", "/health")
        return answer

    def list_platform_alerts(self, *, in_plant: str | None = None) -> list[PlatformAlertView]:
        """List open faults of the platform itself: faulty definitions, unreadable champions.
        Empty without faults."""
        answer: list[PlatformAlertView] = self.call(
            "GET", "/platform-alerts", query={"in_plant": in_plant}
        )
        return answer

    def show_routes(self, *, in_plant: str | None = None) -> RoutesOverview:
        """List routes and channels with pending notifications and dead letters. Channels appear
        by name, without addresses."""
        answer: RoutesOverview = self.call("GET", "/routes", query={"in_plant": in_plant})
        return answer

    def show_route(self, name: str) -> RouteDetail:
        """Show a route with its document. The ETag names its content. Role: engineer."""
        answer: RouteDetail = self.call("GET", f"/routes/{segment(name)}")
        return answer

    def apply_route(
        self,
        name: str,
        body: RouteBody | str,
        *,
        reason: str | None = None,
        if_match: int | None = None,
        if_none_match: Literal["*"] | None = None,
    ) -> RouteChangeView:
        """Apply a route: as a change of the content in If-Match, or, with If-None-Match: *, as
        a new one. Role: engineer. 412: it was changed since, by whom and when. A route names
        channels, never their addresses."""
        answer: RouteChangeView = self.call(
            "PUT",
            f"/routes/{segment(name)}",
            query={"reason": reason},
            headers={"if-match": if_match, "if-none-match": if_none_match},
            body=body,
        )
        return answer

    def remove_route(
        self, name: str, *, reason: str | None = None, if_match: int | None = None
    ) -> None:
        """Remove a route, valid or not; the audit holds its document. Role: engineer."""
        self.call(
            "DELETE",
            f"/routes/{segment(name)}",
            query={"reason": reason},
            headers={"if-match": if_match},
        )

    def check_route(self, body: RouteBody | str) -> RouteChangeView:
        """Check a route without applying it: all its faults, or what it would change. Role:
        engineer."""
        answer: RouteChangeView = self.call("POST", "/routes:check", body=body)
        return answer

    def test_route(self, name: str) -> list[TestView]:
        """Send a test message to every channel of a route, at once. Role: engineer."""
        answer: list[TestView] = self.call("POST", f"/routes/{segment(name)}/test")
        return answer

    def retry_dead_letters(self, body: RetryBody) -> RetryView:
        """Deliver dead letters again under their old keys. Role: engineer."""
        answer: RetryView = self.call("POST", "/dead-letters/retry", body=body)
        return answer

    def list_tokens(self, *, in_plant: str | None = None) -> list[TokenView]:
        """List the tokens of programs, without their secrets. Role: admin."""
        answer: list[TokenView] = self.call("GET", "/tokens", query={"in_plant": in_plant})
        return answer

    def create_token(self, body: TokenBody) -> NewTokenView:
        """Make a token of an account for a program. Role: admin."""
        answer: NewTokenView = self.call("POST", "/tokens", body=body)
        return answer

    def revoke_token(self, id: str) -> TokenView:
        """Revoke a token at once, by its key. Role: admin."""
        answer: TokenView = self.call("DELETE", f"/tokens/{segment(id)}")
        return answer

    def list_audit(
        self,
        *,
        actor: str | None = None,
        subject: str | None = None,
        what: str | None = None,
        from_: Instant | None = None,
        to: Instant | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        in_plant: str | None = None,
    ) -> AuditPageView:
        """List what people, commands and the platform did, newest first. Role: engineer."""
        answer: AuditPageView = self.call(
            "GET",
            "/audit",
            query={
                "actor": actor,
                "subject": subject,
                "what": what,
                "from": from_,
                "to": to,
                "limit": limit,
                "cursor": cursor,
                "in_plant": in_plant,
            },
        )
        return answer

    def iterate_audit(
        self,
        *,
        actor: str | None = None,
        subject: str | None = None,
        what: str | None = None,
        from_: Instant | None = None,
        to: Instant | None = None,
        in_plant: str | None = None,
    ) -> Iterator[AuditEntryView]:
        """Yield all items of `list_audit`, page by page."""
        cursor = None
        while True:
            page = self.list_audit(
                actor=actor,
                subject=subject,
                what=what,
                from_=from_,
                to=to,
                in_plant=in_plant,
                cursor=cursor,
            )
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return
