"""Page of the API: its operations by subject, with examples, from its description."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from alerting.console.api.api import Viewer
from alerting.console.login import entrance_of
from alerting.console.reference.operations import by_subject, common_answers
from alerting.console.web.rendering import render
from alerting.definitions.faults import NotFound
from alerting.definitions.wording.language import translatable

pages = APIRouter(include_in_schema=False)


@pages.get("/api", response_class=HTMLResponse)
def api_page(
    request: Request, _: Viewer, subject: Annotated[str | None, Query(max_length=50)] = None
) -> str:
    """Return the page of the API: its subjects, and the operations of one."""
    base = (entrance_of(request).public_url or str(request.base_url)).rstrip("/")
    description = request.app.openapi()
    subjects = by_subject(description, base)
    if subject is not None and subject not in subjects:
        raise NotFound(translatable("there is no page at this address"))
    return render(
        "reference/api.html",
        request,
        subjects=subjects,
        subject=subject,
        base=base,
        common=common_answers(description),
        operations=subjects.get(subject or "", []),
    )
