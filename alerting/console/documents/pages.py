"""Pages of the documents of a kind: the list, one with its revisions, and the editor."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from alerting.console.api.api import Served, require
from alerting.console.api.parameters import MOST_NUMBER, FormField, Id, NameQuery
from alerting.console.definitions.documents import write_yaml_document
from alerting.console.definitions.views import shown_document
from alerting.console.documents.editor import Sent, render_editor, show_editor, submit
from alerting.console.documents.kinds import ConsoleKind, Draft
from alerting.console.web.rendering import FormEngineer, read_revision, render
from alerting.definitions.faults import NotFound, UserError
from alerting.definitions.revisions import flat_changes
from alerting.operators.permissions import Permission
from alerting.ports import Platform
from alerting.usecases.documents import ChangedMeanwhile, StoredDocument, list_history

REVISIONS_SHOWN = 50
Number = Annotated[int, Query(ge=0, le=MOST_NUMBER)]


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
        """Return the editor of a new one, with the beginning of one of a kind."""
        chosen = kind or next(iter(self._shown.starts), "")
        draft = Draft(self._shown.starting_text(chosen), as_form=self._shown.as_form)
        return render_editor(self._shown, request, platform, draft, kind=chosen)

    def make(
        self, request: Request, platform: Served, person: FormEngineer, sent: Sent
    ) -> Response:
        """Check or apply a new one, or change what is shown, as the pressed button says."""
        return submit(self._shown, request, platform, person, sent)

    def edit(self, name: Id, request: Request, platform: Served, part: NameQuery = "") -> str:
        """Return the editor of one, or of a part of it."""
        at = f"{self._shown.fields.parts}.{part}" if part else ""
        return show_editor(self._shown, request, platform, name, at)

    def change(
        self, name: Id, request: Request, platform: Served, person: FormEngineer, sent: Sent
    ) -> Response:
        """Check or apply a change, or change what is shown, as the pressed button says."""
        return submit(self._shown, request, platform, person, sent, name)

    def show(
        self,
        name: Id,
        request: Request,
        platform: Served,
        start: Annotated[Number, Query(alias="from")] = 0,
        end: Annotated[Number, Query(alias="to")] = 0,
    ) -> Response:
        """Return the page of one; with `from` and `to` the difference of two revisions."""
        return render_page(self._shown, request, platform, name, start=start, end=end)

    def change_state(
        self,
        name: Id,
        request: Request,
        platform: Served,
        person: FormEngineer,
        act: FormField = "",
        revision: FormField = "",
        reason: FormField = "",
        accept_load: FormField = "",
    ) -> Response:
        """Change the state of one."""
        if act not in self._kind.acts:
            raise UserError(f"act: {', '.join(self._kind.acts)}")
        expected = read_revision(revision)
        now = platform.clock.now()
        change = partial(
            self._kind.change_state,
            platform,
            name,
            act,
            person.name,
            now,
            reason.strip(),
            expected=expected,
            accepted=accept_load,
        )
        return self._answer(request, platform, name, change)

    def restore(
        self,
        name: Id,
        request: Request,
        platform: Served,
        person: FormEngineer,
        number: FormField = "",
        revision: FormField = "",
        reason: FormField = "",
        accept_load: FormField = "",
    ) -> Response:
        """Make the document of an earlier revision the newest one."""
        chosen = read_revision(number)
        expected = read_revision(revision)
        why = reason.strip()
        now = platform.clock.now()
        change = partial(
            self._kind.restore,
            platform,
            name,
            chosen,
            person.name,
            now,
            why,
            expected=expected,
            accepted=accept_load,
        )
        return self._answer(request, platform, name, change)

    def remove(
        self,
        name: Id,
        request: Request,
        platform: Served,
        person: FormEngineer,
        revision: FormField = "",
        reason: FormField = "",
    ) -> Response:
        """Remove one of the revision that was read."""
        expected = read_revision(revision)
        now = platform.clock.now()
        why = reason.strip()
        change = partial(
            self._kind.remove, platform, name, person.name, now, why, expected=expected
        )
        return self._answer(request, platform, name, change, f"/{self._shown.plural}")

    def _answer(
        self,
        request: Request,
        platform: Platform,
        name: str,
        change: Callable[[], object],
        then: str = "",
    ) -> Response:
        """Return the way to the page after a change, or the page with the reason of a refusal."""
        try:
            change()
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
    is_late = isinstance(refusal, ChangedMeanwhile)
    text = refusal.detail if isinstance(refusal, ChangedMeanwhile) else refusal.message
    status = 412 if is_late else 422
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
    **given: Any,
) -> Response:
    """Return the page of a document. `given`: what its template shows beside it, e.g. a refusal."""
    now = platform.clock.now()
    found = shown.kind.show(platform, name, now)
    status = found.read and shown.status(platform, found.read, now)
    values = {
        "kind": shown,
        "own": f"/{shown.plural}/{quote(name)}",
        "s": status,
        "title": found.document.get("title") or name,
        "condition": found.document.get("state", "active"),
        "text": write_yaml_document(shown_document(found.document)),
        "refusal": "",
        "now": now,
        **describe_revisions(shown, platform, found, start, end),
        **shown.more(request, platform, found, status),
        **given,
    }
    return HTMLResponse(render(shown.page, request, **values), status_code)


def describe_revisions(
    shown: ConsoleKind, platform: Platform, found: StoredDocument[Any], start: int, end: int
) -> dict[str, Any]:
    """Return the revisions of a document for a page; of two chosen ones, without `end` the newest,
    the difference."""
    difference = None
    if start:
        one = shown.kind.find_revision(platform, found.name, start)
        other = shown.kind.find_revision(platform, found.name, end or found.number)
        changes = flat_changes(one.document, other.document)
        difference = {"start": one, "end": other, "changes": changes}
    history = list_history(found.revisions)[:REVISIONS_SHOWN]
    return {"found": found, "history": history, "difference": difference}
