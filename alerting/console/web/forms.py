"""People who submit forms of pages."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, HTTPException

from alerting.console.access import Person, confirms
from alerting.console.api.api import require
from alerting.console.api.parameters import FormField
from alerting.definitions.wording.language import translatable
from alerting.operators.permissions import Permission, Target


def submitted_by(permission: Permission, target: Target = "anything") -> Callable[..., Person]:
    """Return a dependency that gives the person of a form with this permission.

    It raises HTTPException 403 for a form that this console did not make for the session.
    """

    def person(
        person: Annotated[Person, Depends(require(permission, target))], csrf: FormField = ""
    ) -> Person:
        if not confirms(person, csrf):
            raise HTTPException(
                403,
                translatable(
                    "this form belongs to another session; open the page again and repeat"
                ),
            )
        return person

    return person


FormViewer = Annotated[Person, Depends(submitted_by("read"))]
FormOperator = Annotated[Person, Depends(submitted_by("operate"))]
FormPlantEngineer = Annotated[Person, Depends(submitted_by("configure", "whole plant"))]
FormAdministrator = Annotated[Person, Depends(submitted_by("administer"))]
