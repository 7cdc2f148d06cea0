"""People who submit forms of pages, in their session, or with name and PIN on a shared device."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

from alerting.console.access import Person, confirms
from alerting.console.api.api import require
from alerting.console.api.parameters import FormField
from alerting.definitions.faults import UserError
from alerting.definitions.wording.language import translatable
from alerting.operators.permissions import Permission

_OWN_FIELDS = frozenset({"csrf", "signer", "pin"})


def submitted_by(permission: Permission) -> Callable[..., object]:
    """Return a dependency that gives the person of a form with this permission: of the session, or
    on a shared device the one who signs with `signer` and `pin`.

    It raises HTTPException 403 for a form that this console did not make for the session, and for
    one that a shared device must not send; NotSigned, with a page that asks for name and PIN and
    holds all that was typed, until those are right.
    """
    needed = require(permission)

    async def person(
        request: Request, csrf: FormField = "", signer: FormField = "", pin: FormField = ""
    ) -> Person:
        found: Person | None = request.state.person
        to_be_signed = found is not None and found.signs and permission == "operate"
        if found is None or not to_be_signed:
            found = await needed(request)
        if not confirms(found, csrf):
            raise HTTPException(
                403,
                translatable(
                    "this form belongs to another session; open the page again and repeat"
                ),
            )
        if found.device is None:
            return found
        if not to_be_signed:
            raise HTTPException(
                403,
                translatable("this cannot be done on a shared device; log in with your password"),
            )
        typed = [
            (name, value)
            for name, value in (await request.form()).multi_items()
            if name not in _OWN_FIELDS and isinstance(value, str)
        ]
        # set by `signing.py`, which uses pages that use this module
        signed: Person = await run_in_threadpool(
            request.app.state.sign, request, found, signer, pin, typed
        )
        return signed

    # a test looks for routes without
    person.permission = permission  # type: ignore[attr-defined]
    return person


FormViewer = Annotated[Person, Depends(submitted_by("read"))]
FormOperator = Annotated[Person, Depends(submitted_by("operate"))]
FormEngineer = Annotated[Person, Depends(submitted_by("configure"))]
FormAdministrator = Annotated[Person, Depends(submitted_by("administer"))]


def read_revision(text: str) -> int:
    """Return the number of the revision that a form was made from. Raises UserError for none."""
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise UserError("the form does not name a revision; open the page again")
    return int(text)
