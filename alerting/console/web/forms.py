"""Check of forms on pages."""

from fastapi import HTTPException

from alerting.console.access import Person, confirms

NOT_FROM_HERE = "this form belongs to another session; open the page again and repeat"


def check_form(person: Person, csrf: str) -> None:
    """Check that this console made the form for this session. Raises HTTPException 403 if it did not."""
    if not confirms(person, csrf):
        raise HTTPException(403, NOT_FROM_HERE)
