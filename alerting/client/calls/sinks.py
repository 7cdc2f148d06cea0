"""Calls about sinks. Made by `python -m tools.client`."""

from typing import Literal

from alerting.client.shapes.sinks import (
    RetriedLettersView,
    SinkBody,
    SinkChangeView,
    SinkLettersView,
    SinkStateView,
    SinksView,
    SinkTestView,
    SinkView,
)
from alerting.client.transport import Transport, segment


class SinksCalls(Transport):
    """Calls about sinks."""

    def list_sinks(self, *, in_plant: str | None = None) -> SinksView:
        """List all sinks by name, and faulty documents."""
        answer: SinksView = self.call("GET", "/sinks", query={"in_plant": in_plant})
        return answer

    def check_sink(self, body: SinkBody | str) -> SinkChangeView:
        """Check a document without applying it: all its faults, or the change. Role: engineer."""
        answer: SinkChangeView = self.call("POST", "/sinks:check", body=body)
        return answer

    def show_sink(self, name: str) -> SinkView:
        """Show a sink with its revisions. The ETag is the newest revision. Role: engineer."""
        answer: SinkView = self.call("GET", f"/sinks/{segment(name)}")
        return answer

    def apply_sink(
        self,
        name: str,
        body: SinkBody | str,
        *,
        if_match: int | None = None,
        if_none_match: Literal["*"] | None = None,
    ) -> SinkChangeView:
        """Apply a document: as a change of the revision in If-Match, or, with If-None-Match: *,
        as a new sink. Role: engineer. 412: it was changed since, by whom and when. A sink
        may name no path of the host that it does not use yet, at the same address: that is
        applied there."""
        answer: SinkChangeView = self.call(
            "PUT",
            f"/sinks/{segment(name)}",
            headers={"if-match": if_match, "if-none-match": if_none_match},
            body=body,
        )
        return answer

    def pause_sink(self, name: str, *, if_match: int | None = None) -> SinkStateView:
        """Pause a sink: alarms wait until it is resumed, values within `values_wait`. Role:
        engineer."""
        answer: SinkStateView = self.call(
            "POST", f"/sinks/{segment(name)}:pause", headers={"if-match": if_match}
        )
        return answer

    def resume_sink(self, name: str, *, if_match: int | None = None) -> SinkStateView:
        """Resume a sink that is paused or retired. Role: engineer."""
        answer: SinkStateView = self.call(
            "POST", f"/sinks/{segment(name)}:resume", headers={"if-match": if_match}
        )
        return answer

    def retire_sink(self, name: str, *, if_match: int | None = None) -> SinkStateView:
        """Retire a sink; its document, revisions and dead letters stay. Role: engineer."""
        answer: SinkStateView = self.call(
            "POST", f"/sinks/{segment(name)}:retire", headers={"if-match": if_match}
        )
        return answer

    def test_sink(self, name: str) -> SinkTestView:
        """Send the receiver a message that is marked as a test. A database is looked at, and
        gets no row. Role: engineer."""
        answer: SinkTestView = self.call("POST", f"/sinks/{segment(name)}:test")
        return answer

    def list_letters(self, name: str) -> SinkLettersView:
        """List the first messages that the receiver refused. Role: engineer."""
        answer: SinkLettersView = self.call("GET", f"/sinks/{segment(name)}/dead-letters")
        return answer

    def retry_sink_letters(self, name: str) -> RetriedLettersView:
        """Let the stream service send the dead letters of a sink once more. Role: engineer."""
        answer: RetriedLettersView = self.call("POST", f"/sinks/{segment(name)}/dead-letters:retry")
        return answer
