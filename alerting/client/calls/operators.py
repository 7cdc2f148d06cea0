"""Calls about operators. Made by `python -m tools.client`."""

from typing import Literal

from alerting.client.shapes.operators import (
    AckBody,
    AssignBody,
    CloseBody,
    CommentBody,
    ConfirmBody,
    EndBody,
    ExtendBody,
    NowView,
    Operated,
    ShelfBody,
    ShelfView,
    SilenceBody,
    SilenceDetail,
    SilencesView,
    SilenceView,
    SuppressionView,
    Why,
)
from alerting.client.transport import Transport, segment
from alerting.client.values import Instant


class OperatorsCalls(Transport):
    """Calls about operators."""

    def show_operator_state(self, id: str) -> Operated:
        """Show the operator state of an episode: ISA-18.2 state, acknowledgement, shelves,
        first-out."""
        answer: Operated = self.call("GET", f"/episodes/{segment(id)}/state")
        return answer

    def acknowledge_episode(self, id: str, body: AckBody | None = None) -> Operated:
        """Acknowledge an episode. Idempotent. Role: operator."""
        answer: Operated = self.call("POST", f"/episodes/{segment(id)}/ack", body=body)
        return answer

    def close_episode(self, id: str, body: CloseBody) -> Operated:
        """Close an alert that nothing evaluates, or whose predicted problem has come, when no
        reading shows whether it goes on. Role: operator."""
        answer: Operated = self.call("POST", f"/episodes/{segment(id)}/close", body=body)
        return answer

    def confirm_episode(self, id: str, body: ConfirmBody | None = None) -> Operated:
        """Confirm an action; it counts as `acted` in the feedback. Role: operator."""
        answer: Operated = self.call("POST", f"/episodes/{segment(id)}/confirm", body=body)
        return answer

    def comment_on_episode(self, id: str, body: CommentBody) -> Operated:
        """Add a comment to the episode. Role: operator."""
        answer: Operated = self.call("POST", f"/episodes/{segment(id)}/comment", body=body)
        return answer

    def assign_episode(self, id: str, body: AssignBody) -> Operated:
        """Assign the episode to a person. Role: operator."""
        answer: Operated = self.call("POST", f"/episodes/{segment(id)}/assign", body=body)
        return answer

    def list_shelves(
        self,
        *,
        definition: str | None = None,
        asset: str | None = None,
        in_plant: str | None = None,
    ) -> list[ShelfView]:
        """List shelves in force: those without an end first, then by end."""
        answer: list[ShelfView] = self.call(
            "GET",
            "/shelves",
            query={"definition": definition, "asset": asset, "in_plant": in_plant},
        )
        return answer

    def shelve(self, body: ShelfBody) -> ShelfView:
        """Mute a definition on an asset. Role: operator (for at most 8 hours); out of service:
        engineer."""
        answer: ShelfView = self.call("POST", "/shelves", body=body)
        return answer

    def end_shelf(self, id: str, body: EndBody | None = None) -> ShelfView:
        """End a shelf before its time; an episode that is still open is announced once. Role:
        operator; out of service: engineer."""
        answer: ShelfView = self.call("POST", f"/shelves/{segment(id)}/end", body=body)
        return answer

    def list_suppressions(
        self,
        *,
        definition: str | None = None,
        since: Instant | None = None,
        in_plant: str | None = None,
    ) -> SuppressionView:
        """List targets suppressed by design now, and episodes without notification since an
        instant (default: a day ago)."""
        answer: SuppressionView = self.call(
            "GET",
            "/suppressions",
            query={"definition": definition, "since": since, "in_plant": in_plant},
        )
        return answer

    def show_why(
        self, *, definition: str, asset: str, at: Instant | None = None, in_plant: str | None = None
    ) -> Why:
        """Explain why an alarm was raised at an instant (now when left out), or why not."""
        answer: Why = self.call(
            "GET",
            "/why",
            query={"definition": definition, "asset": asset, "at": at, "in_plant": in_plant},
        )
        return answer

    def show_now(
        self,
        *,
        line: str | None = None,
        asset: str | None = None,
        severity: Literal["low", "medium", "high", "critical"] | None = None,
        shift: str | None = None,
        mine: Literal["yes"] | None = None,
        in_plant: str | None = None,
    ) -> NowView:
        """Show the present state of the plant: what is wrong, where, and what is not evaluated."""
        answer: NowView = self.call(
            "GET",
            "/now",
            query={
                "line": line,
                "asset": asset,
                "severity": severity,
                "shift": shift,
                "mine": mine,
                "in_plant": in_plant,
            },
        )
        return answer

    def list_silences(self, *, in_plant: str | None = None) -> SilencesView:
        """List the silences that are present or planned, and those of the last month."""
        answer: SilencesView = self.call("GET", "/silences", query={"in_plant": in_plant})
        return answer

    def start_silence(self, body: SilenceBody) -> SilenceView:
        """Silence a part of the plant, a definition or severities, now or later. Role: operator
        (for at most 8 hours)."""
        answer: SilenceView = self.call("POST", "/silences", body=body)
        return answer

    def show_silence(self, id: str) -> SilenceDetail:
        """Show a silence, and the alarms that were raised while it covered them."""
        answer: SilenceDetail = self.call("GET", f"/silences/{segment(id)}")
        return answer

    def end_silence(self, id: str, body: EndBody | None = None) -> SilenceView:
        """End a silence before its time, or cancel a planned one; an alarm that is still open
        is announced. Idempotent. Role: operator."""
        answer: SilenceView = self.call("POST", f"/silences/{segment(id)}/end", body=body)
        return answer

    def extend_silence(self, id: str, body: ExtendBody) -> SilenceView:
        """Move the end of a silence that is not over. Role: operator (at most 8 hours from
        now)."""
        answer: SilenceView = self.call("POST", f"/silences/{segment(id)}/extend", body=body)
        return answer
