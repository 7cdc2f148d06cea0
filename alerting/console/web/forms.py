"""The check of forms on pages."""

from fastapi import HTTPException

from alerting.console.access import Person, confirms

NOT_FROM_HERE = "this form is not from this session; open the page again and repeat"


def check_form(person: Person, csrf: str) -> None:
    """Raises HTTPException 403 if a form was not made by us for this session."""
    if not confirms(person, csrf):
        raise HTTPException(403, NOT_FROM_HERE)
