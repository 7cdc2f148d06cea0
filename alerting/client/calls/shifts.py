"""Calls about shifts. Made by `python -m tools.client`."""

from collections.abc import Iterator
from typing import Literal

from alerting.client.shapes.shifts import (
    HandoverList,
    HandoverView,
    NoteBody,
    SendBody,
    SentView,
    SignatureBody,
    StoredHandover,
)
from alerting.client.transport import Transport
from alerting.client.values import Instant


class ShiftsCalls(Transport):
    """Calls about shifts."""

    def show_handover(
        self,
        *,
        line: str | None = None,
        at: Instant | None = None,
        shift: str | None = None,
        hours: Literal["8", "12", "24"] | None = None,
        in_plant: str | None = None,
    ) -> HandoverView:
        """Show what a shift hands over: open and unanswered alarms, what was done, notes,
        signatures."""
        answer: HandoverView = self.call(
            "GET",
            "/handover",
            query={"line": line, "at": at, "shift": shift, "hours": hours, "in_plant": in_plant},
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
        self,
        *,
        line: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
        in_plant: str | None = None,
    ) -> HandoverList:
        """List stored hand-overs of a line or all, newest first."""
        answer: HandoverList = self.call(
            "GET",
            "/handovers",
            query={"line": line, "cursor": cursor, "limit": limit, "in_plant": in_plant},
        )
        return answer

    def iterate_handovers(
        self, *, line: str | None = None, in_plant: str | None = None
    ) -> Iterator[StoredHandover]:
        """Yield all items of `list_handovers`, page by page."""
        cursor = None
        while True:
            page = self.list_handovers(line=line, in_plant=in_plant, cursor=cursor)
            yield from page["items"]
            cursor = page["next"]
            if cursor is None:
                return
