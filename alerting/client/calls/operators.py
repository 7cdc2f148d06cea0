"""Calls about operators. Made by `python -m tools.client`."""

from collections.abc import Iterator
from typing import Literal

from alerting.client.shapes.operators import (
    AckBody,
    AssignBody,
    CloseBody,
    CommentBody,
    ConfirmBody,
    EndBody,
    HandoverList,
    HandoverView,
    NoteBody,
    NowView,
    Operated,
    SendBody,
    SentView,
    ShelfBody,
    ShelfView,
    SignatureBody,
    StoredHandover,
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
        """Close an alert whose predicted problem has come, when no reading shows whether it
        goes on. Role: operator."""
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
        self, *, definition: str | None = None, asset: str | None = None
    ) -> list[ShelfView]:
        """List shelves in force: those without an end first, then by end."""
        answer: list[ShelfView] = self.call(
            "GET", "/shelves", query={"definition": definition, "asset": asset}
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
        self, *, definition: str | None = None, since: Instant | None = None
    ) -> SuppressionView:
        """List targets suppressed by design now, and episodes without notification since an
        instant (default: a day ago)."""
        answer: SuppressionView = self.call(
            "GET", "/suppressions", query={"definition": definition, "since": since}
        )
        return answer

    def show_why(self, *, definition: str, asset: str, at: Instant | None = None) -> Why:
        """Explain why an alarm was raised at an instant (now when left out), or why not."""
        answer: Why = self.call(
            "GET", "/why", query={"definition": definition, "asset": asset, "at": at}
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
            },
        )
        return answer

    def show_handover(
        self,
        *,
        line: str | None = None,
        at: Instant | None = None,
        shift: str | None = None,
        hours: Literal["8", "12", "24"] | None = None,
    ) -> HandoverView:
        """Show what a shift hands over: open and unanswered alarms, what was done, notes,
        signatures."""
        answer: HandoverView = self.call(
            "GET", "/handover", query={"line": line, "at": at, "shift": shift, "hours": hours}
        )
        return answer

    def write_shift_note(self, body: NoteBody) -> HandoverView:
        """Write a note of a shift; notes are never changed. Role: operator."""
        answer: HandoverView = self.call("POST", "/handover/notes", body=body)
        return answer

    def sign_shift(self, body: SignatureBody) -> HandoverView:
        """Sign the hand-over of a shift; two different people sign the two sides. Role:
        operator."""
        answer: HandoverView = self.call("POST", "/handover/signatures", body=body)
        return answer

    def send_shift(self, body: SendBody) -> SentView:
        """Send the hand-over of a shift to the recipients of a route. Role: operator."""
        answer: SentView = self.call("POST", "/handover/messages", body=body)
        return answer

    def list_handovers(
        self, *, line: str | None = None, cursor: str | None = None, limit: int | None = None
    ) -> HandoverList:
        """List stored hand-overs of a line or all, newest first."""
        answer: HandoverList = self.call(
            "GET", "/handovers", query={"line": line, "cursor": cursor, "limit": limit}
        )
        return answer

    def iterate_handovers(self, *, line: str | None = None) -> Iterator[StoredHandover]:
        """Yield all items of `list_handovers`, page by page."""
        cursor = None
        while True:
            page = self.list_handovers(line=line, cursor=cursor)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return
