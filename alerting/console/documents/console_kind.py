"""How the console shows a kind of documents: answers, texts, parts of pages of its own, fields of
its form."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from alerting.console.access import Person
from alerting.console.api.views import View
from alerting.console.documents.definition_api import FieldChange, field_changes
from alerting.console.documents.form import FIRST, FormSchema
from alerting.definitions.faults import Fault, UserError
from alerting.kinds.validation import document_schema
from alerting.operators.accounts import Permission
from alerting.ports import Document, Platform
from alerting.usecases.document_life import (
    ChangeAction,
    ChangedMeanwhile,
    Changes,
    DocumentKind,
    DocumentReview,
    StoredDocument,
)

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
    """Fields of a form: see `FormSchema`. `starting`: returns those of a document; `parts`: the
    field whose members have forms of their own."""

    first: tuple[str, ...] = FIRST
    starting: Callable[[Document], frozenset[str]] = lambda _: frozenset()
    named: frozenset[str] = frozenset()
    parts: str = ""


@dataclass(frozen=True)
class Draft:
    """A document under way. `name`, `revision`: of the stored one that it changes, empty for a new
    one; `at`: the path of the part that the form shows, empty for the whole; `scenarios`: as YAML,
    of a definition."""

    text: str
    name: str = ""
    revision: int = 0
    as_form: bool = True
    at: str = ""
    scenarios: str = ""


@dataclass(frozen=True)
class SentDraft:
    """A draft as it was sent. `inputs`: all of its form, `do`: the pressed button; `accepted`: why
    what is refused for its effects is accepted."""

    draft: Draft
    inputs: tuple[tuple[str, str], ...]
    do: str
    reason: str
    accepted: str

    def input(self, name: str) -> str:
        """Return an input of the form, empty without it."""
        return dict(self.inputs).get(name, "")


@dataclass(frozen=True)
class EditorAnswer:
    """The review of a draft on its page. `review`: its effect; `fault`: why there is none;
    `changed`: the change of somebody else since; `newer`: what the draft changes of that; `sent`:
    the form; `more`: what a button of the kind showed."""

    review: DocumentReview[Any] | None = None
    faults: tuple[Fault, ...] = ()
    fault: str = ""
    changed: ChangedMeanwhile | None = None
    newer: Changes = field(default_factory=dict)
    sent: SentDraft | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """Return the status of the page's answer."""
        if self.changed:
            return 412
        return 422 if self.fault or self.faults else 200


@dataclass(frozen=True)
class PressedButton:
    """A button of a kind below a draft, with what was sent and its document."""

    request: Request
    platform: Platform
    person: Person
    sent: SentDraft
    document: Document


EditorButton = Callable[[PressedButton, EditorAnswer], EditorAnswer | Response]


@dataclass(frozen=True, eq=False)
class ConsoleKind:
    """A kind of documents at the console. `reads`: who may see one with its document; `lists`: who
    may see the list, and its page `lists_page`.

    `title`, `new`, `intro`, `note`: texts of pages. `list_page`, `page`, `editor`: templates;
    `own_list`, `own_page`: whether another router has these. `status`: of a valid one, for its
    page; `view`: that as `line_view` of answers; `more`: what its templates show of one with its
    status. `starts`: texts of new ones by kind.
    `offered`: names to choose from with their titles, by path. `buttons`: of the editor, by
    name; `editing`: what its template shows beside the usual. `new_page`: the address of a new one.
    `as_form`: whether the editor begins with the form.
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
    line_view: type[object] = DocumentLine
    review_view: type[ReviewView] = ReviewView
    status: Callable[[Platform, Any, datetime], Any] = lambda _, one, __: one
    view: Callable[[Any], object] = lambda status: status
    more: Callable[[Request, Platform, StoredDocument[Any], Any], Mapping[str, Any]] = lambda *_: {}
    starts: Mapping[str, str] = field(default_factory=dict)
    fields: FormFields = field(default_factory=FormFields)
    offered: Callable[[Platform, Document], Mapping[str, Mapping[str, str]]] = lambda *_: {}
    buttons: Mapping[str, EditorButton] = field(default_factory=dict)
    editing: Callable[[Request, Platform, Draft, EditorAnswer], Mapping[str, Any]] = lambda *_: {}
    new_page: str = ""
    as_form: bool = True

    @property
    def plural(self) -> str:
        """Return the first part of the addresses."""
        return f"{self.kind.word}s"

    @property
    def new_address(self) -> str:
        """Return the address of the editor of a new one."""
        return self.new_page or f"/new-{self.kind.word}"

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
        models = self.kind.models()
        model = self.kind.model or models.get(str(document.get("kind")))
        if model is None:
            raise UserError(f"kind: a form needs one of {', '.join(models)}; write it in the text")
        schema = document_schema(model)
        fields = self.fields
        apart = frozenset({fields.parts} - {""})
        return FormSchema(
            schema,
            schema.get("$defs", {}),
            fields.first,
            fields.starting(document),
            apart,
            fields.named,
        )
