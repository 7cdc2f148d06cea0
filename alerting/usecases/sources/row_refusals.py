"""Refusals of single rows of a source, for readers of every language."""

from typing import Any

from alerting.definitions.faults import shown
from alerting.definitions.wording.language import ENGLISH

NO_VALUE = "has no value"
TOO_DEEP = "nests too deeply"
MOST_VALUES = "has {number} values; at most {most} are allowed"
NO_TIME = "there is no time"
NOT_A_TIME = "{value} is not a time; write ISO 8601, or seconds or milliseconds since 1970"
OUTSIDE = "{value} does not lie between the years {first} and {last}"
END_FIRST = "the end lies before the start"
TWICE = "the variable {variable} occurs twice"
HALF_TITLE = "the title holds half a character"
HALF_TEXT = "{value} holds half a character"
NO_QUALITY = "{value} is not a quality: good, uncertain, bad, or a code of OPC UA or OPC DA"
MISSING = {
    "asset": "there is no asset",
    "event type": "there is no event type",
}
NO_NAME = {
    "asset": "{value} is not a name of an asset, which is text or a number",
    "event type": "{value} is not a name of an event type, which is text or a number",
}
NOT_FINITE = "{value} is not a finite number"
TOO_SMALL = "{value} is too small a number to be stored"
LONG = "the text has {count} characters; at most {most} are allowed"
NO_SCALAR = "{value} is not a number, text, true or false"
OTHER_TYPE = "{value} is not a {kind}, as which the variable is declared"
KINDS = {
    "number": "number",
    "category": "category",
    "boolean": "boolean",
}


class RowRefused(Exception):
    """Error: a row cannot be stored, and why."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def refuse_value(column: str, text: str, value: Any = None, **values: str | int) -> RowRefused:
    """Return the refusal of a row for the value of one column. `text`: a template."""
    said = ENGLISH.say(text, value=shown(value), **values)
    return refuse_column(column, said)


def refuse_column(column: str, reason: str) -> RowRefused:
    """Return the refusal of a row for what one column holds."""
    return RowRefused(f"{column}: {reason}")
