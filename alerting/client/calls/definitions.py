"""Calls about definitions. Made by `python -m tools.client`."""

from collections.abc import Iterator
from typing import Literal

from alerting.client.shapes.definitions import (
    AppliedView,
    ChangeBody,
    CheckView,
    DefinitionDetail,
    DefinitionSummary,
    DifferenceView,
    PreviewBody,
    PreviewView,
    RestoreBody,
    RetireBody,
    RetiredView,
    RevisionDetail,
    RevisionPage,
    RevisionSummary,
    ScenariosBody,
    ScenariosView,
)
from alerting.client.transport import Transport, segment
from alerting.client.values import Document


class DefinitionsCalls(Transport):
    """Calls about definitions."""

    def list_definitions(self, *, in_plant: str | None = None) -> list[DefinitionSummary]:
        """List all definitions by name."""
        answer: list[DefinitionSummary] = self.call(
            "GET", "/definitions", query={"in_plant": in_plant}
        )
        return answer

    def check_definition(self, body: Document | str) -> CheckView:
        """Check a document without applying it: all its faults, or the changes, warnings and
        expected alarm load. Role: engineer."""
        answer: CheckView = self.call("POST", "/definitions:check", body=body)
        return answer

    def test_definition(self, body: ScenariosBody) -> ScenariosView:
        """Run scenarios against a document: readings over time, and exactly the transitions
        that must follow, after the checks of `:check`. Nothing is stored; at most 50
        scenarios with 100,000 values. Role: engineer."""
        answer: ScenariosView = self.call("POST", "/definitions:test", body=body)
        return answer

    def show_definition(self, name: str) -> DefinitionDetail:
        """Show a definition: the current document, its faults, its revisions. The ETag is the
        newest revision."""
        answer: DefinitionDetail = self.call("GET", f"/definitions/{segment(name)}")
        return answer

    def apply_definition(
        self,
        name: str,
        body: Document | str,
        *,
        reason: str | None = None,
        accept_load: str | None = None,
        if_match: int | None = None,
        if_none_match: Literal["*"] | None = None,
    ) -> AppliedView:
        """Apply a document: as a change of the revision in If-Match, or, with If-None-Match: *,
        as a new definition. Role: engineer. 412: it was changed since, by whom and what.
        Nothing is written if the document has a fault, or breaks the alarm budget of a
        position and `accept_load` is empty."""
        answer: AppliedView = self.call(
            "PUT",
            f"/definitions/{segment(name)}",
            query={"reason": reason, "accept_load": accept_load},
            headers={"if-match": if_match, "if-none-match": if_none_match},
            body=body,
        )
        return answer

    def retire_definition(
        self, name: str, body: RetireBody | None = None, *, if_match: int | None = None
    ) -> RetiredView:
        """Take a definition out of service; its history, models and episodes stay. Role:
        engineer."""
        answer: RetiredView = self.call(
            "POST",
            f"/definitions/{segment(name)}:retire",
            headers={"if-match": if_match},
            body=body,
        )
        return answer

    def activate_definition(
        self, name: str, body: ChangeBody | None = None, *, if_match: int | None = None
    ) -> AppliedView:
        """Put a draft or a retired definition into service, within the alarm budget. Role:
        engineer."""
        answer: AppliedView = self.call(
            "POST",
            f"/definitions/{segment(name)}:activate",
            headers={"if-match": if_match},
            body=body,
        )
        return answer

    def restore_revision(
        self, name: str, body: RestoreBody, *, if_match: int | None = None
    ) -> AppliedView:
        """Make the document of an earlier revision the newest one, within the alarm budget.
        Role: engineer."""
        answer: AppliedView = self.call(
            "POST",
            f"/definitions/{segment(name)}:restore",
            headers={"if-match": if_match},
            body=body,
        )
        return answer

    def list_revisions(
        self, name: str, *, limit: int | None = None, before: int | None = None
    ) -> RevisionPage:
        """List the revisions of a definition, newest first, page by page."""
        answer: RevisionPage = self.call(
            "GET",
            f"/definitions/{segment(name)}/revisions",
            query={"limit": limit, "before": before},
        )
        return answer

    def iterate_revisions(self, name: str) -> Iterator[RevisionSummary]:
        """Yield all items of `list_revisions`, page by page."""
        before = None
        while True:
            page = self.list_revisions(name, before=before)
            yield from page["items"]
            before = page["next"]
            if before is None:
                return

    def show_revision(self, name: str, number: int) -> RevisionDetail:
        """Show a revision with its document."""
        answer: RevisionDetail = self.call(
            "GET", f"/definitions/{segment(name)}/revisions/{segment(number)}"
        )
        return answer

    def show_difference(self, name: str, *, from_: int, to: int | None = None) -> DifferenceView:
        """Show the fields that differ between two revisions."""
        answer: DifferenceView = self.call(
            "GET", f"/definitions/{segment(name)}/diff", query={"from": from_, "to": to}
        )
        return answer

    def start_preview(self, body: PreviewBody) -> PreviewView:
        """Try a draft on past readings without applying it: the episodes it would have raised,
        and how many a day. Role: engineer. Of a definition that predicts a problem: when
        that happened. For these, and for definitions without a model, over at most 92 days,
        10 million readings and 120 seconds. A person has one preview: a new one takes the
        place of the one before, and the same draft over the same period is the same preview.
        Results are in memory only. The readings are held for ten minutes, so that another
        draft over the same period is tried at once; of what arrives late meanwhile,
        `read_at` tells."""
        answer: PreviewView = self.call("POST", "/definitions:preview", body=body)
        return answer

    def show_preview(self, id: str, *, wait: int | None = None) -> PreviewView:
        """Show one's own preview with its progress, and its result or fault. Role: engineer."""
        answer: PreviewView = self.call("GET", f"/previews/{segment(id)}", query={"wait": wait})
        return answer

    def cancel_preview(self, id: str) -> None:
        """Cancel one's own preview, or forget its result. Role: engineer."""
        self.call("DELETE", f"/previews/{segment(id)}")
