"""How the console shows a kind of documents: answers, texts, parts of pages of its own, fields of
its form."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from alerting.adapters.platform import Platform
from alerting.console.api.views import View
from alerting.console.definitions.form import FIRST, FormSchema
from alerting.console.definitions.views import FieldChange, field_changes
from alerting.definitions.faults import Fault, UserError
from alerting.kinds.schema import document_schema
from alerting.operators.permissions import Permission
from alerting.ports import Document
from alerting.usecases.documents import ChangeAction, DocumentKind, DocumentReview, StoredDocument

START = "name: new\nkind: {kind}\nurl: {{env: SERVER_URL}}\n"
"""The beginning of a document of a kind which a package adds."""


class DocumentLine(View):
    """A document as lists show it."""

    name: str
    title: str | None = None
    kind: str | None = None
    state: str | None = None


class ReviewView(View):
    """The effect of a document; a faulty one has faults alone. `revision`: the newest after it,
    null if nothing was applied."""

    name: str
    action: ChangeAction
    faults: list[Fault]
    changes: list[FieldChange]
    revision: int | None = None


@dataclass(frozen=True)
class FormFields:
    """Fields of a form: see `FormSchema`. `parts`: the field whose members have forms of their
    own."""

    first: tuple[str, ...] = FIRST
    starting: frozenset[str] = frozenset()
    named: frozenset[str] = frozenset()
    parts: str = ""


@dataclass(frozen=True)
class ConsoleKind:
    """A kind of documents at the console. `reads`: who may see one with its document; `lists`: who
    may see the list, and its page `lists_page`.

    `title`, `new`, `intro`, `note`: texts of pages. `list_page`, `page`, `editor`: templates;
    `own_list`, `own_page`, `own_editor`: whether another router has these; `refused_page`:
    the page with the reason of a refusal. `status`: of a valid one, as
    `line_view` of answers; `more`: what its templates show of one. `starts`: texts of new ones by
    kind.
    `offered`: names to choose from with their titles, by path. `look`: shows what a document that
    need not be applied would do. `as_form`: whether the editor begins with the form.
    """

    kind: DocumentKind[Platform, Any]
    example: Document
    title: str = ""
    new: str = ""
    intro: str = ""
    note: str = ""
    reads: Permission = "configure"
    lists: Permission = "read"
    lists_page: Permission = "configure"
    list_page: str = "documents/list.html"
    page: str = "documents/page.html"
    editor: str = "documents/editor.html"
    own_list: bool = False
    own_page: bool = False
    own_editor: bool = False
    refused_page: Callable[[Request, Platform, str, UserError], Response] | None = None
    line_view: type[object] = DocumentLine
    review_view: type[ReviewView] = ReviewView
    status: Callable[[Platform, Any, datetime], object] = lambda _, one, __: one
    more: Callable[[Request, Platform, StoredDocument[Any], datetime], Mapping[str, Any]] = (
        lambda *_: {}
    )
    starts: Mapping[str, str] = field(default_factory=dict)
    kinds: Callable[[], Sequence[str]] = tuple
    fields: FormFields = field(default_factory=FormFields)
    offered: Callable[[Platform, Document], Mapping[str, Mapping[str, str]]] = lambda *_: {}
    look: Callable[[Request, Platform, Document], object] | None = None
    as_form: bool = True

    @property
    def plural(self) -> str:
        """Return the first part of the addresses."""
        return f"{self.kind.word}s"

    def list_lines(self, platform: Platform, now: datetime) -> Sequence[Any]:
        """Return the status of each valid document."""
        return [self.status(platform, one, now) for one in self.kind.read(platform)[0]]

    def view_review(self, review: DocumentReview[Any], revision: int | None = None) -> ReviewView:
        """Return the answer to a check or a change."""
        effects = vars(review.effects) if review.effects else {}
        given = vars(review) | effects | {"changes": field_changes(review.changes)}
        return self.review_view.model_validate(given | {"revision": revision})

    def starting_text(self, kind: str) -> str:
        """Return the text to start a document of a kind from."""
        if not self.starts:
            return ""
        return self.starts.get(kind, START.format(kind=kind))

    def form_schema(self, document: Document) -> FormSchema:
        """Return the fields of a document. Raises UserError if it does not say which these are."""
        model = self.kind.model(document)
        if model is None:
            known = ", ".join(self.kinds())
            raise UserError(f"kind: a form needs one of {known}; write it in the text")
        schema = document_schema(model)
        fields = self.fields
        apart = frozenset({fields.parts} - {""})
        models = schema.get("$defs", {})
        return FormSchema(schema, models, fields.first, fields.starting, apart, fields.named)
