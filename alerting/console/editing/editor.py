"""The editor of documents without revisions: as form, of the whole or of one part, and as YAML;
their check, and what applying them would change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.adapters.platform import Platform
from alerting.console.access import Person
from alerting.console.api.parameters import FormField
from alerting.console.definitions.documents import (
    line_of_path,
    read_yaml_document,
    write_yaml_document,
)
from alerting.console.definitions.form import FormGroup, FormSchema, draw_form
from alerting.console.definitions.form_document import change_form, read_form, replace_part
from alerting.console.web.rendering import render
from alerting.definitions.faults import (
    ChangedMeanwhile,
    DocumentRefused,
    Fault,
    NotFound,
    UserError,
)
from alerting.definitions.revisions import flat_changes
from alerting.definitions.wording.language import translatable
from alerting.ports import Document
from alerting.usecases.definitions.edits import NEW

LONGEST_TEXT = 60_000
LONGEST_PATH = 300
_ORIGIN = translatable("the text")
_SHAPES = frozenset({"form", "yaml", "part", "add", "remove", "way"})
"""Values of the buttons that change what is shown of a draft alone."""
Act = Annotated[
    str, Form(max_length=LONGEST_PATH, pattern=r"^[a-z]+(:[A-Za-z0-9_.-]*(:[0-9]{1,2})?)?$")
]
Apply = Callable[[Platform, Document, str, str, datetime, str], Any]
"""Stores a document that was made from the expected content: by whom, when and why."""


@dataclass(frozen=True)
class EditedKind:
    """A kind of documents that the editor edits.

    `address`: of one of them, before its name; `new`: of the editor of a new one. `find`: document
    and content tag by name. `offered`: names to choose from with their titles, by path. `parts`:
    the field whose members have forms of their own.
    """

    template: str
    address: str
    new: str
    schema: Callable[[], FormSchema]
    find: Callable[[Platform, str], tuple[Document, str]]
    review: Callable[[Platform, Document], Any]
    apply: Apply
    offered: Callable[[Platform, Document], Mapping[str, Mapping[str, str]]]
    parts: str = ""


@dataclass(frozen=True)
class Draft:
    """A document under way. `name`, `tag`: of the stored one that it changes, empty for a new one;
    `at`: the path of the part that the form shows, empty for the whole."""

    text: str
    name: str = ""
    tag: str = ""
    as_form: bool = True
    at: str = ""


@dataclass(frozen=True)
class SentDraft:
    """A draft as it was sent. `inputs`: those of its form; `part`: the name of a new part."""

    draft: Draft
    inputs: tuple[tuple[str, str], ...]
    do: str
    reason: str
    part: str


@dataclass(frozen=True)
class EditorAnswer:
    """What the page says of a draft. `review`: its effect; `fault`: why there is none; `changed`:
    the change of somebody else since; `newer`: what the draft changes of that."""

    review: Any = None
    faults: tuple[Fault, ...] = ()
    fault: str = ""
    changed: str = ""
    newer: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    reason: str = ""

    @property
    def status(self) -> int:
        """Return the status of the page's answer."""
        if self.changed:
            return 412
        return 422 if self.fault or self.faults else 200


async def read_sent(
    request: Request,
    text: Annotated[str, Form(max_length=LONGEST_TEXT)] = "",
    tag: FormField = "",
    shape: FormField = "",
    at: FormField = "",
    reason: FormField = "",
    part: FormField = "",
    do: Act = "check",
) -> SentDraft:
    """Return the draft of a submitted editor."""
    items = (await request.form()).multi_items()
    inputs = tuple((name, value) for name, value in items if isinstance(value, str))
    draft = Draft(text.replace("\r\n", "\n"), "", tag, shape == "form", at)
    return SentDraft(draft, inputs, do, reason.strip(), part.strip())


Sent = Annotated[SentDraft, Depends(read_sent)]


def show_editor(
    kind: EditedKind, request: Request, platform: Platform, name: str, at: str = ""
) -> str:
    """Return the editor of a stored document, or of a part of it. Raises NotFound."""
    document, tag = kind.find(platform, name)
    draft = Draft(write_yaml_document(document), name, tag, True, _known_part(kind, document, at))
    return render_editor(kind, request, platform, draft)


def submit(
    kind: EditedKind,
    request: Request,
    platform: Platform,
    person: Person,
    sent: SentDraft,
    name: str = "",
) -> Response:
    """Return the answer to a button of the editor; what was typed is shown again. `name`: of the
    stored document. Raises NotFound for an unknown one."""
    if name:
        kind.find(platform, name)
    draft = replace(sent.draft, name=name)
    act, _, where = sent.do.partition(":")
    now = platform.clock.now()
    shown = EditorAnswer(reason=sent.reason)
    try:
        draft, document = _read(kind, draft, sent.inputs)
        if act == "apply":
            why = sent.reason or "edited in the console"
            made = kind.apply(platform, document, draft.tag or NEW, person.name, now, why)
            return RedirectResponse(f"{kind.address}/{made.name}", 303)
        if act in _SHAPES:
            draft = _in_shape(kind, draft, document, act, where, sent.part)
        else:
            review = kind.review(platform, document)
            shown = replace(shown, review=review, faults=tuple(review.faults))
    except NotFound:
        raise
    except ChangedMeanwhile as changed:
        shown = replace(shown, changed=changed.message)
        if draft.name:
            stored, tag = kind.find(platform, draft.name)
            draft = replace(draft, tag=tag)
            shown = replace(shown, newer=flat_changes(stored, document))
    except DocumentRefused as refusal:
        shown = replace(shown, faults=refusal.faults)
    except UserError as refusal:
        shown = replace(shown, fault=refusal.message)
    return HTMLResponse(render_editor(kind, request, platform, draft, shown), shown.status)


def render_editor(
    kind: EditedKind,
    request: Request,
    platform: Platform,
    draft: Draft,
    shown: EditorAnswer | None = None,
) -> str:
    """Return the page of the editor."""
    answer = shown or EditorAnswer()
    document, form = _form_of(kind, draft)
    faults = [{"line": line_of_path(draft.text, f.path), "fault": f} for f in answer.faults]
    members = document.get(kind.parts) if kind.parts else None
    parts = members if isinstance(members, dict) else {}
    return render(
        kind.template,
        request,
        kind=kind,
        draft=draft,
        shown=answer,
        review=answer.review,
        form=form,
        title=document.get("title") or draft.name,
        parts=[str(name) for name in parts],
        part=draft.at.partition(".")[2],
        by_path={fault.path: fault for fault in answer.faults},
        faults=sorted(faults, key=lambda one: one["line"] or 0),
        offered=kind.offered(platform, document),
        variables=_variables(parts),
        rows=min(max(draft.text.count("\n") + 4, 18), 40),
        now=platform.clock.now(),
    )


def _variables(parts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and titles of parts that are groups of fields."""
    return [
        (str(name), str(one.get("title") or "") if isinstance(one, dict) else "")
        for name, one in parts.items()
    ]


def _read(
    kind: EditedKind, draft: Draft, inputs: tuple[tuple[str, str], ...]
) -> tuple[Draft, Document]:
    """Return a draft with its document. Raises UserError for a text that is none, and for one with
    another name."""
    document = read_yaml_document(draft.text, _ORIGIN) if draft.text.strip() else {}
    if draft.as_form:
        form = read_form((name, text) for name, text in inputs if ":" in name)
        document = replace_part(document, form, draft.at, kind.schema().apart)
        draft = replace(draft, text=write_yaml_document(document))
    if draft.name and document.setdefault("name", draft.name) != draft.name:
        raise UserError(
            translatable("name: this is the page of {name}, which keeps its name", name=draft.name)
        )
    return draft, document


def _in_shape(
    kind: EditedKind, draft: Draft, document: Document, act: str, where: str, part: str
) -> Draft:
    """Return a draft as text or as form, of the whole or of a part, or with a changed field."""
    if act in ("form", "yaml"):
        return replace(draft, as_form=act == "form", at=draft.at if act == "form" else "")
    if act == "part":
        wanted = f"{kind.parts}.{where}" if where else ""
        return replace(draft, at=_known_part(kind, document, wanted))
    path, _, way = where.partition(":")
    if act == "add" and path == kind.parts:
        return _with_part(kind, draft, document, part)
    changed = change_form(document, act, path, int(way or 0), kind.schema()) if path else document
    at = "" if act == "remove" and path == draft.at else draft.at
    return replace(draft, text=write_yaml_document(changed), at=at)


def _with_part(kind: EditedKind, draft: Draft, document: Document, part: str) -> Draft:
    if not part or "." in part or ":" in part:
        raise UserError(translatable("write the name of the new part first, without a dot"))
    members = document.get(kind.parts)
    known = members if isinstance(members, dict) else {}
    made = {**document, kind.parts: {**known, part: known.get(part, {})}}
    return replace(draft, text=write_yaml_document(made), at=f"{kind.parts}.{part}")


def _known_part(kind: EditedKind, document: Document, at: str) -> str:
    """Return the path of a part if the document has it, else that of the whole."""
    field_, _, name = at.partition(".")
    members = document.get(kind.parts) if kind.parts else None
    is_known = field_ == kind.parts and isinstance(members, dict) and name in members
    return at if is_known else ""


def _form_of(kind: EditedKind, draft: Draft) -> tuple[Document, FormGroup | None]:
    """Return the document of a draft, and its form; none of a text that cannot be read."""
    try:
        text = draft.text.strip()
        document = read_yaml_document(draft.text, _ORIGIN) if text else {}
    except UserError:
        return {}, None
    return document, draw_form(document, kind.schema(), draft.at) if draft.as_form else None
