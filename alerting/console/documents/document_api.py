"""How the console shows a kind of documents: answers, texts, parts of pages of its own, fields of
its form; and over the REST API, version 1, the documents of a kind, their check, changes, states
and revisions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Query, Request, Response
from pydantic import BeforeValidator, Field, create_model

from alerting.console.access import Engineer, Person, Served, require
from alerting.console.api.parameters import (
    ETAG,
    MOST_NUMBER,
    Id,
    IfMatch,
    IfNoneMatch,
    Number,
    Reason,
    Sent,
    Short,
    describe_body,
    etag_of,
    expected_of,
    require_number,
)
from alerting.console.api.views import (
    Body,
    DifferenceView,
    FieldChange,
    View,
    field_changes,
    reader_of,
    shown_document,
    translate_texts,
)
from alerting.console.documents.form import FIRST, FormSchema
from alerting.definitions.faults import Fault, UserError
from alerting.definitions.revisions import flat_changes
from alerting.kinds.registry import document_schema
from alerting.operators.account_rules import Permission
from alerting.ports import Document, DocumentRevision, Platform
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
    """Fields of a form: see `FormSchema`. `starting`: returns the first fields of a document;
    `parts`: the field whose members have forms of their own."""

    first: tuple[str, ...] = FIRST
    starting: Callable[[Document], frozenset[str]] = lambda _: frozenset()
    named: frozenset[str] = frozenset()
    parts: str = ""


@dataclass(frozen=True)
class Draft:
    """A draft under way. `name`, `revision`: of the stored document that it changes, empty for a
    new one; `at`: the path of the part that the form shows, empty for the whole; `scenarios`: as
    YAML, of a definition."""

    text: str
    name: str = ""
    revision: int = 0
    as_form: bool = True
    at: str = ""
    scenarios: str = ""


@dataclass(frozen=True)
class SentDraft:
    """A draft as it was sent. `inputs`: all inputs of its form, `do`: the pressed button;
    `accepted`: the reason to accept effects that would be refused."""

    draft: Draft
    inputs: tuple[tuple[str, str], ...]
    do: str
    reason: str
    accepted: str

    def input(self, name: str) -> str:
        """Return an input of the form, empty if the form has no such input."""
        return dict(self.inputs).get(name, "")


@dataclass(frozen=True)
class EditorAnswer:
    """The review of a draft on its page. `review`: its effect; `fault`: why it has none; `changed`:
    a change by another person since; `newer`: the draft's differences from that change; `sent`: the
    form; `more`: the result of a button of the kind."""

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
    """A kind of documents at the console. `reads`: who may see a document; `lists`: who may see the
    list, and its page `lists_page`.

    `title`, `new`, `intro`, `note`: texts of pages. `list_page`, `page`, `editor`: templates;
    `own_list`, `own_page`: whether another router has these. `status`: of a valid document, for its
    page; `view_status`: returns it as answers have it, a `line_view`; `more`: further values of its
    templates for a document with its status. `starts`: texts of new documents by kind.

    `offered`: names to choose from with their titles, by path. `buttons`: of the editor, by name;
    `editing`: further values of the editor's template. `new_page`: the address of a new document.
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
    line_view: Any = DocumentLine
    review_view: type[ReviewView] = ReviewView
    status: Callable[[Platform, Any, datetime], Any] = lambda _, document, __: document
    view_status: Callable[[Any], Any] = lambda status: status
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
        """Return the address of the editor of a new document."""
        return self.new_page or f"/new-{self.kind.word}"

    def list_lines(self, platform: Platform, now: datetime) -> Sequence[Any]:
        """Return the status of each valid document."""
        return [self.status(platform, document, now) for document in self.kind.read(platform)[0]]

    def view_review(
        self, platform: Platform, review: DocumentReview[Any], revision: int | None = None
    ) -> ReviewView:
        """Return the answer to a check or a change."""
        effects = vars(review.effects) if review.effects else {}
        fields = vars(review) | effects | {"changes": field_changes(review.changes)}
        answer = {**translate_texts(fields, reader_of(platform)), "revision": revision}
        return self.review_view.model_validate(answer)

    def starting_text(self, kind: str) -> str:
        """Return the text to start a document of a kind from."""
        if not self.starts:
            return ""
        return self.starts.get(kind, START.format(kind=kind))

    def form_schema(self, document: Document) -> FormSchema:
        """Return the fields of a document. Raises UserError if the document does not determine its
        fields."""
        models = self.kind.models()
        model = self.kind.model or models.get(str(document.get("kind")))
        if model is None:
            raise UserError(f"kind: a form needs one of {', '.join(models)}; write it in the text")
        schema = document_schema(model)
        fields = self.fields
        return FormSchema(
            schema,
            schema.get("$defs", {}),
            fields.first,
            fields.starting(document),
            frozenset({fields.parts} - {""}),
            fields.named,
        )


L = TypeVar("L")
AcceptLoad = Annotated[
    Short,
    Query(
        description="Of a definition: why more alarms than the budget allows are accepted; else "
        "refused."
    ),
]


class ListView(View, Generic[L]):
    """All documents by name. `faulty`: those that are not used, with their faults."""

    items: list[L]
    faulty: dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class RevisionLine:
    """The author, time and reason of a revision."""

    number: int
    at: datetime
    actor: str
    reason: str

    @classmethod
    def from_domain(cls, revision: DocumentRevision) -> "RevisionLine":
        """Return the line of a revision."""
        return RevisionLine(
            number=revision.number, at=revision.at, actor=revision.actor, reason=revision.reason
        )


@dataclass(frozen=True, kw_only=True)
class RevisionView(RevisionLine):
    """A revision with its document."""

    document: Mapping[str, Any]


class DocumentView(View):
    """A document as people write it, without fields at their default, and its revisions, oldest
    first. `faults`: of a faulty document, which is not used and has no status; `revision`: the
    newest, 0 without one."""

    name: str
    revision: int
    document: Any
    status: Any
    faults: list[str]
    revisions: list[RevisionLine]


class StateView(View):
    """The state of a document after it was changed."""

    name: str
    state: str
    revision: int


class ChangeBody(Body):
    """Why a state is changed; `accept_load`: of a definition, why alarms beyond the budget are
    accepted."""

    reason: Short = Field("", description="Recorded with the revision and in the audit.")
    accept_load: Short = ""


class RestoreBody(ChangeBody):
    """The revision that becomes the newest, and why."""

    revision: Annotated[int, BeforeValidator(require_number)] = Field(ge=1, le=MOST_NUMBER)


class DocumentApi:
    """The operations on the documents of a kind."""

    def __init__(self, shown: ConsoleKind) -> None:
        self._shown = shown
        self._kind = shown.kind
        self._router = APIRouter(prefix="/api/v1", tags=[shown.plural])

    def router(self) -> APIRouter:
        """Return the routes."""
        shown = self._shown
        word = self._kind.word
        whole = f"/{shown.plural}"
        named = f"{whole}/{{name}}"
        single = f"{whole}/{{name:without_colon}}"
        body: dict[str, Any] = {"openapi_extra": describe_body(word, shown.example)}
        tagged: dict[str, Any] = {"responses": {200: ETAG}}
        made = {200: ETAG, 201: {"model": shown.review_view, "description": "Made."} | ETAG}
        detail = create_model(
            f"DocumentView_{shown.line_view.__name__}_",
            __base__=DocumentView,
            __doc__=DocumentView.__doc__,
            status=(shown.line_view | None, ...),
        )
        if not shown.own_list:
            lines = ListView.__class_getitem__(shown.line_view)
            self._add("GET", whole, self.list_all, f"list_{word}s", lines, shown.lists)
        self._add("POST", f"{whole}:check", self.check, f"check_{word}", shown.review_view, **body)
        self._add("GET", single, self.show, f"show_{word}", detail, shown.reads, **tagged)
        self._add(
            "PUT", single, self.apply, f"apply_{word}", shown.review_view, **body, responses=made
        )
        for act in self._kind.acts:
            change = self._state_change(act)
            self._add("POST", f"{named}:{act}", change, f"{act}_{word}", StateView, **tagged)
        self._add(
            "POST", f"{named}:restore", self.restore, f"restore_{word}", shown.review_view, **tagged
        )
        if self._kind.removed:
            self._add("DELETE", single, self.remove, f"remove_{word}", None, status_code=204)
        revision = f"{named}/revisions/{{number}}"
        reads = shown.reads
        self._add("GET", revision, self.show_revision, f"show_{word}_revision", RevisionView, reads)
        compare = f"compare_{word}_revisions"
        self._add("GET", f"{named}/diff", self.compare, compare, DifferenceView, reads)
        return self._router

    def _add(
        self,
        method: str,
        path: str,
        endpoint: Callable[..., Any],
        id: str,
        answer: Any,
        permission: Permission = "configure",
        **more: Any,
    ) -> None:
        text = (endpoint.__doc__ or "").replace("document", self._kind.word)
        role = " Role: engineer." if permission == "configure" else ""
        self._router.add_api_route(
            path,
            endpoint,
            methods=[method],
            operation_id=id,
            response_model=answer,
            description=f"{text}{role}",
            dependencies=[Depends(require(permission))],
            **more,
        )

    def list_all(self, platform: Served) -> ListView[Any]:
        """List all documents by name, and those that are faulty."""
        lines = list(self._shown.list_lines(platform, platform.clock.now()))
        faulty = self._kind.read(platform)[1]
        reader = reader_of(platform)
        return ListView(
            items=translate_texts(lines, reader), faulty=translate_texts(faulty, reader)
        )

    def check(self, platform: Served, document: Sent) -> ReviewView:
        """Check a document without applying it: all its faults, or what it would change."""
        return self._shown.view_review(platform, self._kind.review(platform, document))

    def show(self, name: Id, platform: Served, response: Response) -> DocumentView:
        """Show a document with its revisions. The ETag is the newest revision."""
        now = platform.clock.now()
        stored = self._kind.show(platform, name, now)
        response.headers["etag"] = etag_of(stored.number)
        shown = self._shown
        status = stored.read and shown.view_status(shown.status(platform, stored.read, now))
        reader = reader_of(platform)
        return DocumentView(
            name=name,
            revision=stored.number,
            document=shown_document(stored.document),
            status=translate_texts(status, reader),
            faults=translate_texts(list(stored.faults), reader),
            revisions=[RevisionLine.from_domain(revision) for revision in stored.revisions],
        )

    def apply(
        self,
        name: Id,
        platform: Served,
        person: Engineer,
        document: Sent,
        response: Response,
        reason: Reason = "",
        accept_load: AcceptLoad = "",
        if_match: IfMatch = None,
        if_none_match: IfNoneMatch = None,
    ) -> ReviewView:
        """Apply a document: as a change of the revision in If-Match, or, with If-None-Match: *, as
        a new one. Fields that it leaves out are removed.

        412: it was changed since, by whom and when. It may name no path of the host that it does
        not use yet, at the same address: that is applied there.
        """
        expected = expected_of(if_match, if_none_match)
        word = self._kind.word
        if expected is None:
            raise HTTPException(
                428,
                f"send If-Match with the ETag of the {word} that was changed, or If-None-Match: * "
                "for a new one",
            )
        named = {"name": name, **document}
        if named["name"] != name:
            raise UserError(f"name: the document is of another {word} than {name!r}")
        now = platform.clock.now()
        (made,) = self._kind.apply(
            platform,
            [named],
            person.name,
            now,
            reason or "applied through the API",
            expected=expected,
            on_host=False,
            accepted=accept_load,
        )
        response.status_code = 201 if made.action == "new" else 200
        return self._shown.view_review(platform, made, self._tag(platform, name, response))

    def restore(
        self,
        name: Id,
        body: RestoreBody,
        platform: Served,
        person: Engineer,
        response: Response,
        if_match: IfMatch = None,
    ) -> ReviewView:
        """Make an earlier revision of a document the newest one."""
        now = platform.clock.now()
        made = self._kind.restore(
            platform,
            name,
            body.revision,
            person.name,
            now,
            body.reason,
            expected=expected_of(if_match, None),
            accepted=body.accept_load,
        )
        return self._shown.view_review(platform, made, self._tag(platform, name, response))

    def remove(
        self,
        name: Id,
        platform: Served,
        person: Engineer,
        reason: Reason = "",
        if_match: IfMatch = None,
    ) -> Response:
        """Remove a document, valid or not; the audit holds its content, and its revisions stay."""
        expected = expected_of(if_match, None)
        why = reason or "removed through the API"
        self._kind.remove(platform, name, person.name, platform.clock.now(), why, expected=expected)
        return Response(status_code=204)

    def show_revision(self, name: Id, number: Number, platform: Served) -> RevisionView:
        """Show a revision of a document with its content."""
        revision = self._kind.find_revision(platform, name, number)
        line = RevisionLine.from_domain(revision)
        return RevisionView(**vars(line), document=revision.document)

    def compare(
        self,
        name: Id,
        platform: Served,
        start: Annotated[int, Query(alias="from", ge=1, le=MOST_NUMBER)],
        end: Annotated[
            int | None,
            Query(alias="to", ge=1, le=MOST_NUMBER, description="The newest if left out."),
        ] = None,
    ) -> DifferenceView:
        """Show the fields that differ between two revisions of a document."""
        newest = self._kind.show(platform, name, platform.clock.now()).number
        first = self._kind.find_revision(platform, name, start)
        second = self._kind.find_revision(platform, name, end or newest)
        changes = field_changes(flat_changes(first.document, second.document))
        return DifferenceView.model_validate(
            {"name": name, "from": first.number, "to": second.number, "changes": changes}
        )

    def _state_change(self, act: str) -> Callable[..., StateView]:
        def change_state(
            name: Id,
            platform: Served,
            person: Engineer,
            response: Response,
            body: ChangeBody | None = None,
            if_match: IfMatch = None,
        ) -> StateView:
            change = body or ChangeBody(reason="")
            self._kind.change_state(
                platform,
                name,
                act,
                person.name,
                platform.clock.now(),
                change.reason,
                expected=expected_of(if_match, None),
                accepted=change.accept_load,
            )
            number = self._tag(platform, name, response)
            return StateView(name=name, state=self._kind.acts[act].state, revision=number)

        change_state.__doc__ = f"{act.capitalize()} a document; its revisions stay."
        return change_state

    def _tag(self, platform: Served, name: str, response: Response) -> int:
        number = self._kind.show(platform, name, platform.clock.now()).number
        response.headers["etag"] = etag_of(number)
        return number
