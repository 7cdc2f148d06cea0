"""Validators of the documents that name a file.

The platform alone writes them. They keep out what another program writes, so that no path leads out
of its folder.
"""

from typing import get_args

from alerting.adapters.mongo.documents import Document
from alerting.readings.interval_labels import (
    LONGEST_LABEL_REASON,
    MOST_LABELLED_VARIABLES,
    LabelKind,
)

_TEXT: Document = {"bsonType": "string", "minLength": 1, "maxLength": 1000}
_PATH: Document = {
    "bsonType": "string",
    "minLength": 1,
    "maxLength": 5000,
    "pattern": r"^[^\x00]+$",
}
_HASH: Document = {"bsonType": "string", "pattern": "^[0-9a-f]{64}$"}
_COUNT: Document = {"bsonType": ["int", "long"], "minimum": 0}
_INSTANT: Document = {"bsonType": "date"}


def source_file_validator() -> Document:
    """Return the validator of the files that sources have read."""
    return _validator(
        source=_TEXT,
        path=_PATH,
        size=_COUNT,
        sha256=_TEXT,
        modified={"bsonType": ["int", "long"]},
        at=_INSTANT,
    )


def backtest_file_validator() -> Document:
    """Return the validator of pieces of files of backtests."""
    name = {
        "bsonType": "string",
        "maxLength": 500,
        "pattern": r"^(?!/)(?!(.*/)?\.\.?(/|$))[^\x00]+$",
    }
    return _validator(
        backtest=_TEXT, segment=_COUNT, name=name, piece=_COUNT, data={"bsonType": "binData"}
    )


def label_validator() -> Document:
    """Return the validator of labels of times, which has no other fields."""
    text = {"bsonType": "string", "minLength": 1}
    when_undone = {"bsonType": ["date", "null"]}
    found = _validator(
        _id={"bsonType": "string", "pattern": "^[0-9a-f]{16}$"},
        asset=text,
        variables={
            "bsonType": "array",
            "items": text,
            "maxItems": MOST_LABELLED_VARIABLES,
            "uniqueItems": True,
        },
        start=_INSTANT,
        end=_INSTANT,
        kind={"enum": list(get_args(LabelKind))},
        reason={**text, "maxLength": LONGEST_LABEL_REASON},
        author=text,
        made_at=_INSTANT,
        undone_at=when_undone,
        undone_by={"bsonType": ["string", "null"]},
    )
    found["$jsonSchema"]["additionalProperties"] = False
    return found


def _validator(**properties: Document) -> Document:
    return {
        "$jsonSchema": {
            "bsonType": "object",
            "required": list(properties),
            "properties": properties,
        }
    }
