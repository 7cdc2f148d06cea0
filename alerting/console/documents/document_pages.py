"""Pages of the documents of a kind: the list, one document with its revisions, and the editor with
the check and the effects of applying. The editor shows a document as YAML, or as a form of the
whole or of one part."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.access import Person, Served, require
from alerting.console.api.parameters import (
    MOST_NUMBER,
    FormField,
    Id,
    NameQuery,
    line_of_path,
    read_yaml_document,
    write_yaml_document,
)
from alerting.console.api.views import shown_document
from alerting.console.documents.document_api import (
    ConsoleKind,
    Draft,
    EditorAnswer,
    PressedButton,
    SentDraft,
)
from alerting.console.documents.form import (
    FormGroup,
    change_form,
    draw_form,
    read_form,
    replace_part,
)
from alerting.console.rendering import FormEngineer, read_revision, render
from alerting.definitions.faults import DocumentRefused, NotFound, UserError
from alerting.definitions.revisions import flat_changes
from alerting.definitions.wording.language import translatable
from alerting.operators.account_rules import Permission
from alerting.ports import Document, Platform
from alerting.usecases.document_life import ChangedMeanwhile, Expected, StoredDocument, list_history

LONGEST_TEXT = 60_000
DraftText = Annotated[str, Form(max_length=LONGEST_TEXT)]
_ORIGIN = translatable("the text")
Act = Annotated[str, Form(max_length=300, pattern=r"^[a-z]+(:[A-Za-z0-9_.-]*(:[0-9]{1,2})?)?$")]


async def read_sent(
    request: Request,
    text: DraftText = "",
    revision: FormField = "",
    shape: FormField = "",
    at: FormField = "",
    reason: FormField = "",
    accept_load: FormField = "",
    scenarios: DraftText = "",
    do: Act = "check",
) -> SentDraft:
    """Return the draft of a submitted editor."""
    items = (await request.form()).multi_items()
    inputs = tuple((name, value) for name, value in items if isinstance(value, str))
    draft = Draft(
        text.replace("\r\n", "\n"),
        "",
        read_revision(revision or "0"),
        shape == "form",
        at,
        scenarios.replace("\r\n", "\n"),
    )
    return SentDraft(draft, inputs, do, reason.strip(), accept_load.strip())


Sent = Annotated[SentDraft, Depends(read_sent)]


def show_editor(
    shown: ConsoleKind, request: Request, platform: Platform, name: str, at: str = ""
) -> str:
    """Return the editor of a stored document, or of a part of it. Raises NotFound."""
    stored = shown.kind.show(platform, name, platform.clock.now())
    text = write_yaml_document(shown_document(stored.document))
    part = _known_part(shown, stored.document, at)
    return render_editor(
        shown, request, platform, Draft(text, name, stored.number, shown.as_form, part)
    )


def submit(
    shown: ConsoleKind,
    request: Request,
    platform: Platform,
    person: Person,
    sent: SentDraft,
    name: str = "",
) -> Response:
    """Return the answer to a button of the editor; what was typed is shown again. `name`: of the
    stored document. Raises NotFound for an unknown one."""
    now = platform.clock.now()
    if name:
        shown.kind.show(platform, name, now)
    draft = replace(sent.draft, name=name)
    document: Document | None = None
    act, _, where = sent.do.partition(":")
    answer = EditorAnswer(sent=sent)
    try:
        draft, document = _read(shown, draft, sent.inputs)
        pressed = PressedButton(request, platform, person, replace(sent, draft=draft), document)
        if act in shown.buttons:
            outcome = shown.buttons[act](pressed, answer)
            if isinstance(outcome, Response):
                return outcome
            answer = outcome
        elif act == "apply":
            return apply_draft(shown, pressed)
        elif act in {"form", "yaml", "part", "add", "remove", "way"}:  # of the shown draft alone
            draft = _in_shape(shown, draft, document, act, where, sent.input("part").strip())
        else:
            answer = review_draft(shown, pressed, answer)
    except NotFound:
        raise
    except ChangedMeanwhile as changed:
        answer = replace(answer, changed=changed)
        if name and document is not None:
            stored = shown.kind.show(platform, name, now)
            draft = replace(draft, revision=stored.number)
            answer = replace(answer, newer=flat_changes(stored.document, document))
    except DocumentRefused as refusal:
        answer = replace(answer, faults=refusal.faults)
    except UserError as refusal:
        answer = replace(answer, fault=refusal.message)
        if act == "apply" and document is not None:
            answer = replace(answer, review=shown.kind.review(platform, document))
    return HTMLResponse(render_editor(shown, request, platform, draft, answer), answer.status)


def review_draft(shown: ConsoleKind, pressed: PressedButton, answer: EditorAnswer) -> EditorAnswer:
    """Return the answer with the effect of a draft."""
    review = shown.kind.review(pressed.platform, pressed.document)
    return replace(answer, review=review, faults=review.faults)


def apply_draft(shown: ConsoleKind, pressed: PressedButton) -> Response:
    """Apply a draft, and return a redirect to its page. Raises UserError."""
    sent = pressed.sent
    expected: Expected = sent.draft.revision if sent.draft.name else "new"
    (made,) = shown.kind.apply(
        pressed.platform,
        [pressed.document],
        pressed.person.name,
        pressed.platform.clock.now(),
        sent.reason or "edited in the console",
        expected=expected,
        on_host=False,
        accepted=sent.accepted,
    )
    return RedirectResponse(f"/{shown.plural}/{made.name}", 303)


def render_editor(
    shown: ConsoleKind,
    request: Request,
    platform: Platform,
    draft: Draft,
    answer: EditorAnswer | None = None,
    kind: str = "",
) -> str:
    """Return the page of the editor. `kind`: of a new document."""
    answer = answer or EditorAnswer()
    document, form = _form_of(shown, draft)
    faults = [{"line": line_of_path(draft.text, f.path), "fault": f} for f in answer.faults]
    members = document.get(shown.fields.parts) if shown.fields.parts else None
    parts = members if isinstance(members, dict) else {}
    values: dict[str, Any] = {
        "kind": shown,
        "own": f"/{shown.plural}",
        "kinds": () if draft.name else list(shown.kind.models()),
        "chosen": kind or document.get("kind"),
        "draft": draft,
        "shown": answer,
        "review": answer.review,
        "form": form,
        "title": document.get("title") or draft.name,
        "parts": [str(name) for name in parts],
        "part": draft.at.partition(".")[2],
        "by_path": {fault.path: fault for fault in answer.faults},
        "faults": sorted(faults, key=lambda found_at: found_at["line"] or 0),
        "reason": answer.sent.reason if answer.sent else "",
        "offered": shown.offered(platform, document),
        "variables": [
            (str(name), str(part.get("title") or "") if isinstance(part, dict) else "")
            for name, part in parts.items()
        ],
        "rows": min(max(draft.text.count("\n") + 4, 18), 40),
        "now": platform.clock.now(),
    }
    values |= shown.editing(request, platform, draft, answer)
    return render(shown.editor, request, **values)


def _read(
    shown: ConsoleKind, draft: Draft, inputs: tuple[tuple[str, str], ...]
) -> tuple[Draft, Document]:
    """Return a draft with its document. Raises UserError for a text that is no document, or has
    another name."""
    is_empty = draft.as_form and not draft.text.strip()
    document = {} if is_empty else read_yaml_document(draft.text, _ORIGIN)
    if draft.as_form:
        form = read_form((name, text) for name, text in inputs if ":" in name)
        document = replace_part(document, form, draft.at, {shown.fields.parts})
        draft = replace(draft, text=write_yaml_document(document))
    if draft.name and document.setdefault("name", draft.name) != draft.name:
        raise UserError(
            translatable("name: this is the page of {name}, which keeps its name", name=draft.name)
        )
    return draft, document


def _in_shape(
    shown: ConsoleKind, draft: Draft, document: Document, act: str, where: str, part: str
) -> Draft:
    """Return a draft as text or as form, of the whole or of a part, or with a changed field."""
    if act in ("form", "yaml"):
        if act == "form":
            shown.form_schema(document)  # refuses an unknown kind
        return replace(draft, as_form=act == "form", at=draft.at if act == "form" else "")
    if act == "part":
        chosen = f"{shown.fields.parts}.{where}" if where else ""
        return replace(draft, at=_known_part(shown, document, chosen))
    path, _, way = where.partition(":")
    if act == "add" and path == shown.fields.parts:
        return _with_part(shown, draft, document, part)
    changed = (
        change_form(document, act, path, int(way or 0), shown.form_schema(document))
        if path
        else document
    )
    at = "" if act == "remove" and path == draft.at else draft.at
    return replace(draft, text=write_yaml_document(changed), at=at)


def _with_part(shown: ConsoleKind, draft: Draft, document: Document, part: str) -> Draft:
    if not part or "." in part or ":" in part:
        raise UserError(translatable("write the name of the new part first, without a dot"))
    members = document.get(shown.fields.parts)
    present = members if isinstance(members, dict) else {}
    made = {**document, shown.fields.parts: {**present, part: present.get(part, {})}}
    return replace(draft, text=write_yaml_document(made), at=f"{shown.fields.parts}.{part}")


def _known_part(shown: ConsoleKind, document: Document, at: str) -> str:
    """Return the path of a part if the document has it, else the path of the whole."""
    field_, _, name = at.partition(".")
    members = document.get(shown.fields.parts) if shown.fields.parts else None
    is_known = field_ == shown.fields.parts and isinstance(members, dict) and name in members
    return at if is_known else ""


def _form_of(shown: ConsoleKind, draft: Draft) -> tuple[Document, FormGroup | None]:
    """Return the document of a draft, and its form; no form if the text cannot be read, or does not
    name its kind."""
    document: Document = {}
    try:
        document = read_yaml_document(draft.text, _ORIGIN) if draft.text.strip() else {}
        if draft.as_form:
            return document, draw_form(document, shown.form_schema(document), draft.at)
    except UserError:
        pass
    return document, None


Number = Annotated[int, Query(ge=0, le=MOST_NUMBER)]


@dataclass(frozen=True)
class SentChange:
    """The form of a change of a document. `revision`: that it was made from."""

    revision: FormField = ""
    reason: FormField = ""
    accept_load: FormField = ""


Change = Annotated[SentChange, Depends()]


class DocumentPages:
    """The pages of the documents of a kind."""

    def __init__(self, shown: ConsoleKind) -> None:
        self._shown = shown
        self._kind = shown.kind
        self._router = APIRouter(include_in_schema=False)

    def router(self) -> APIRouter:
        """Return the routes."""
        shown = self._shown
        named = f"/{shown.plural}/{{name}}"
        if not shown.own_list:
            self._add("GET", f"/{shown.plural}", self.list_all, shown.lists_page)
        if not shown.new_page:
            self._add("GET", shown.new_address, self.begin)
        self._add("POST", shown.new_address, self.make)
        self._add("GET", f"{named}/edit", self.edit)
        self._add("POST", f"{named}/edit", self.change)
        self._add("POST", f"{named}/restore", self.restore)
        if self._kind.acts:
            self._add("POST", f"{named}/state", self.change_state)
        if self._kind.removed:
            self._add("POST", f"{named}/remove", self.remove)
        if not shown.own_page:
            self._add("GET", named, self.show, shown.reads)
        return self._router

    def _add(
        self,
        method: str,
        path: str,
        endpoint: Callable[..., Any],
        permission: Permission = "configure",
    ) -> None:
        self._router.add_api_route(
            path,
            endpoint,
            methods=[method],
            response_class=HTMLResponse,
            dependencies=[Depends(require(permission))] if method == "GET" else [],
        )

    def list_all(self, request: Request, platform: Served) -> str:
        """Return the list, which loads itself again."""
        now = platform.clock.now()
        return render(
            self._shown.list_page,
            request,
            kind=self._shown,
            own=f"/{self._shown.plural}",
            statuses=self._shown.list_lines(platform, now),
            faulty=self._kind.read(platform)[1],
            now=now,
        )

    def begin(self, request: Request, platform: Served, kind: NameQuery = "") -> str:
        """Return the editor of a new document, with the beginning of a document of this kind."""
        chosen = kind or next(iter(self._shown.starts), "")
        draft = Draft(self._shown.starting_text(chosen), as_form=self._shown.as_form)
        return render_editor(self._shown, request, platform, draft, kind=chosen)

    def make(
        self, request: Request, platform: Served, person: FormEngineer, sent: Sent
    ) -> Response:
        """Check or apply a new document, or change the view, as the pressed button says."""
        return submit(self._shown, request, platform, person, sent)

    def edit(self, name: Id, request: Request, platform: Served, part: NameQuery = "") -> str:
        """Return the editor of a document, or of a part of it."""
        at = f"{self._shown.fields.parts}.{part}" if part else ""
        return show_editor(self._shown, request, platform, name, at)

    def change(
        self, name: Id, request: Request, platform: Served, person: FormEngineer, sent: Sent
    ) -> Response:
        """Check or apply a change, or change the view, as the pressed button says."""
        return submit(self._shown, request, platform, person, sent, name)

    def show(
        self,
        name: Id,
        request: Request,
        platform: Served,
        start: Annotated[Number, Query(alias="from")] = 0,
        end: Annotated[Number, Query(alias="to")] = 0,
    ) -> Response:
        """Return the page of a document; with `from` and `to` the difference of two revisions."""
        return render_page(self._shown, request, platform, name, start=start, end=end)

    def change_state(
        self,
        name: Id,
        request: Request,
        platform: Served,
        person: FormEngineer,
        sent: Change,
        act: FormField = "",
    ) -> Response:
        """Change the state of a document."""
        if act not in self._kind.acts:
            raise UserError(f"act: {', '.join(self._kind.acts)}")
        change = partial(self._kind.change_state, platform, name, act, accepted=sent.accept_load)
        return self._answer(request, platform, person, name, change, sent)

    def restore(
        self,
        name: Id,
        request: Request,
        platform: Served,
        person: FormEngineer,
        sent: Change,
        number: FormField = "",
    ) -> Response:
        """Make the document of an earlier revision the newest one."""
        chosen = read_revision(number)
        change = partial(self._kind.restore, platform, name, chosen, accepted=sent.accept_load)
        return self._answer(request, platform, person, name, change, sent)

    def remove(
        self, name: Id, request: Request, platform: Served, person: FormEngineer, sent: Change
    ) -> Response:
        """Remove a document, if its revision is the one that was read."""
        change = partial(self._kind.remove, platform, name)
        return self._answer(request, platform, person, name, change, sent, f"/{self._shown.plural}")

    def _answer(
        self,
        request: Request,
        platform: Platform,
        person: Person,
        name: str,
        change: Callable[..., object],
        sent: SentChange,
        then: str = "",
    ) -> Response:
        """Return a redirect to the page after a change, or the page with the reason of a
        refusal."""
        expected = read_revision(sent.revision)
        now = platform.clock.now()
        try:
            change(person.name, now, sent.reason.strip(), expected=expected)
        except NotFound:
            raise
        except UserError as refusal:
            if self._shown.own_page:
                raise
            return render_refusal(self._shown, request, platform, name, refusal)
        return RedirectResponse(then or f"/{self._shown.plural}/{name}", 303)


def render_refusal(
    shown: ConsoleKind, request: Request, platform: Platform, name: str, refusal: UserError
) -> Response:
    """Return the page of a document with the reason of a refusal."""
    status = 422
    text = refusal.message
    if isinstance(refusal, ChangedMeanwhile):
        status = 412
        text = refusal.detail
    return render_page(shown, request, platform, name, status_code=status, refusal=text)


def render_page(
    shown: ConsoleKind,
    request: Request,
    platform: Platform,
    name: str,
    *,
    status_code: int = 200,
    start: int = 0,
    end: int = 0,
    **more: Any,
) -> Response:
    """Return the page of a document. `given`: further values of its template, e.g. a refusal."""
    now = platform.clock.now()
    stored = shown.kind.show(platform, name, now)
    status = stored.read and shown.status(platform, stored.read, now)
    values = {
        "kind": shown,
        "own": f"/{shown.plural}/{quote(name)}",
        "s": status,
        "title": stored.document.get("title") or name,
        "condition": stored.document.get("state", "active"),
        "text": write_yaml_document(shown_document(stored.document)),
        "refusal": "",
        "now": now,
        **describe_revisions(shown, platform, stored, start, end),
        **shown.more(request, platform, stored, status),
        **more,
    }
    return HTMLResponse(render(shown.page, request, **values), status_code)


def describe_revisions(
    shown: ConsoleKind, platform: Platform, stored: StoredDocument[Any], start: int, end: int
) -> dict[str, Any]:
    """Return the revisions of a document for a page, and the difference of two chosen revisions;
    `end`: the newest by default."""
    difference = None
    if start:
        first = shown.kind.find_revision(platform, stored.name, start)
        second = shown.kind.find_revision(platform, stored.name, end or stored.number)
        changes = flat_changes(first.document, second.document)
        difference = {"start": first, "end": second, "changes": changes}
    history = list_history(stored.revisions)[:50]
    return {"found": stored, "history": history, "difference": difference}
