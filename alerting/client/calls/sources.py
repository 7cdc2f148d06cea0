"""Calls about sources. Made by `python -m tools.client`."""

from typing import Literal

from alerting.client.shapes.sources import (
    DeadMessagesView,
    RetriedView,
    SourceChangeView,
    SourceRowsView,
    SourceStateView,
    SourcesView,
    SourceView,
)
from alerting.client.transport import Transport, segment
from alerting.client.values import Document


class SourcesCalls(Transport):
    """Calls about sources."""

    def list_sources(self, *, in_plant: str | None = None) -> SourcesView:
        """List all sources by name, and faulty documents."""
        answer: SourcesView = self.call("GET", "/sources", query={"in_plant": in_plant})
        return answer

    def check_source(self, body: Document | str) -> SourceChangeView:
        """Check a document without applying it: all its faults, or the change. Role: engineer."""
        answer: SourceChangeView = self.call("POST", "/sources:check", body=body)
        return answer

    def test_source_document(self, body: Document | str) -> SourceRowsView:
        """Show ten rows as a source that is not applied yet would store them. Stores nothing,
        takes no message from a broker. Role: engineer."""
        answer: SourceRowsView = self.call("POST", "/sources:test", body=body)
        return answer

    def show_source(self, name: str) -> SourceView:
        """Show a source with its revisions. The ETag is the newest revision. Role: engineer."""
        answer: SourceView = self.call("GET", f"/sources/{segment(name)}")
        return answer

    def apply_source(
        self,
        name: str,
        body: Document | str,
        *,
        if_match: int | None = None,
        if_none_match: Literal["*"] | None = None,
    ) -> SourceChangeView:
        """Apply a document: as a change of the revision in If-Match, or, with If-None-Match: *,
        as a new source. Role: engineer. 412: it was changed since, by whom and when. A
        source may name no path of the host that it does not use yet, at the same address:
        that is applied there."""
        answer: SourceChangeView = self.call(
            "PUT",
            f"/sources/{segment(name)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
            body=body,
        )
        return answer

    def pause_source(self, name: str, *, if_match: int | None = None) -> SourceStateView:
        """Pause a source: its rows are neither read nor accepted, and it is not stale. Role:
        engineer."""
        answer: SourceStateView = self.call(
            "POST", f"/sources/{segment(name)}:pause", headers={"if-match": if_match}
        )
        return answer

    def resume_source(self, name: str, *, if_match: int | None = None) -> SourceStateView:
        """Resume a source that is paused or retired. Role: engineer."""
        answer: SourceStateView = self.call(
            "POST", f"/sources/{segment(name)}:resume", headers={"if-match": if_match}
        )
        return answer

    def retire_source(self, name: str, *, if_match: int | None = None) -> SourceStateView:
        """Retire a source; its document, revisions and readings stay. Role: engineer."""
        answer: SourceStateView = self.call(
            "POST", f"/sources/{segment(name)}:retire", headers={"if-match": if_match}
        )
        return answer

    def test_source(self, name: str) -> SourceRowsView:
        """Show ten rows as they would be stored, and what is refused and why. Stores nothing.
        Role: engineer."""
        answer: SourceRowsView = self.call("POST", f"/sources/{segment(name)}:test")
        return answer

    def list_dead_messages(self, name: str) -> DeadMessagesView:
        """List the first messages of a broker that could not be stored. Role: engineer."""
        answer: DeadMessagesView = self.call("GET", f"/sources/{segment(name)}/dead-messages")
        return answer

    def retry_dead_messages(self, name: str) -> RetriedView:
        """Store the dead messages of a source once more. Role: engineer."""
        answer: RetriedView = self.call("POST", f"/sources/{segment(name)}/dead-messages:retry")
        return answer
