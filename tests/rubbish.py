"""Fifty kinds of malformed documents, as a person, a script or a broken client may write them."""

from datetime import UTC, datetime

import bson

DEEP: dict = {}
for _ in range(60):
    DEEP = {"deeper": DEEP}

VALUES = {
    "nothing": None,
    "a number": 5,
    "a fraction": 0.5,
    "not a number": float("nan"),
    "infinity": float("inf"),
    "the largest whole number": 2**63 - 1,
    "true": True,
    "an empty text": "",
    "a long text": "x" * 5000,
    "a line break": "a\nb",
    "a NUL": "a\0b",
    "a control character": "a\x1bb",
    "a bidi override": "a\u202eb",
    "a folder of time zones": "Europe",
    "a path": "../../etc/passwd",
    "an endless duration": "99999999999999d",
    "a dollar": "$where",
    "an empty list": [],
    "a long list": ["x"] * 2_000,
    "a list of lists": [[[]]],
    "an empty object": {},
    "a deep object": DEEP,
    "an operator": {"$gt": ""},
    "a date": datetime(2026, 1, 1, tzinfo=UTC),
    "the first date": datetime(1, 1, 1, tzinfo=UTC),
    "bytes": b"\x00\xff",
    "an ObjectId": bson.ObjectId("0" * 24),
    "a Decimal128": bson.Decimal128("1E+6000"),
    "a regular expression": bson.Regex("(a+)+$"),
}


def rubbish(valid, nested):
    """Return more than fifty malformed documents by unique name: fields of a valid one replaced,
    removed or added.

    `nested`: further dotted paths, existing in the valid document or new, whose values are
    replaced.
    """
    fields = [field for field in valid if field != "name"]
    found = {}
    for number, (what, value) in enumerate(VALUES.items()):
        found[f"{fields[number % len(fields)]} is {what}"] = _with(
            valid, fields[number % len(fields)], value
        )
        path = nested[number % len(nested)]
        found[f"{path} is {what}"] = _with(valid, path, value)
    for field in fields:
        found[f"without {field}"] = {key: value for key, value in valid.items() if key != field}
    found["an unknown field"] = {**valid, "abvoe": 3}
    found["a long field"] = {**valid, "x" * 5000: 1}
    found["a field with an operator's name"] = {**valid, "a$b": 1}
    found["nothing but a name"] = {}
    assert len(found) >= 50
    return {
        what: {**document, "name": f"rubbish-{number:03d}"}
        for number, (what, document) in enumerate(found.items())
    }


# ambiguous queries
_NO_NAMES = {
    "nothing",
    "a long list",
    "a list of lists",
    "an empty list",
    "an operator",
    "a regular expression",
}
NAMES = {what: value for what, value in VALUES.items() if what not in _NO_NAMES}


def _with(document, path, value):
    first, _, rest = path.partition(".")
    below = document.get(first)
    return {
        **document,
        first: _with(below if isinstance(below, dict) else {}, rest, value) if rest else value,
    }
