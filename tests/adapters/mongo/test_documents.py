"""Values as documents: what BSON cannot hold is converted, and a dataclass comes back as it was."""

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from types import MappingProxyType
from typing import Any, Literal

import bson
import mongomock
import numpy as np
import pytest

from alerting.definitions.wording.language import language, translatable
from alerting.episodes.episode import Episode
from alerting.ports import SinkProgress, SourceProgress, Training
from alerting.stores.database.documents import (
    from_document,
    stored_text,
    to_bson,
    to_document,
)
from tests.builders import at
from tests.helpers.episodes import full_episode


@dataclass(frozen=True)
class Part:
    at: datetime
    lasts: timedelta
    state: Literal["open", "closed"] = "open"


@dataclass(frozen=True)
class Whole:
    count: int
    level: float
    flag: bool
    parts: tuple[Part, ...] = ()
    first: Part | None = None
    value: float | str | None = None
    names: dict[str, Any] | None = None
    pair: tuple[str, int] = ("a", 1)
    seen: frozenset[str] = frozenset()


PART = Part(at(1), timedelta(minutes=2))
WHOLE = Whole(
    3, 2.5, True, (PART, PART), PART, 1.5, {"a": [1, {"b": 2}]}, ("b", 2), frozenset({"x"})
)


def stored(value):
    """A document as a collection gives it back."""
    collection = mongomock.MongoClient(tz_aware=True)["alerting"]["values"]
    document = to_document(value)
    bson.encode(document)  # refuses what a server cannot store
    collection.insert_one(document)
    return collection.find_one({}, {"_id": False})


def test_a_dataclass_comes_back_as_it_was():
    assert from_document(Whole, {**stored(WHOLE), "_id": 7, "unknown": "field"}) == WHOLE
    assert from_document(Episode, stored(full_episode())) == full_episode()


def test_a_text_without_values_is_translated_after_it_was_read():
    text = translatable("the problem occurred")
    written = replace(Training("d", "q", "r", 1, at(0)), failure=text)
    read = from_document(Training, to_document(written))
    assert language("de").translate(read.failure) == "das Problem trat ein"
    read = from_document(SinkProgress, stored_text("fault", text))
    assert read.fault.template == text.template


def test_how_a_source_lost_values_is_read_with_its_instants():
    gap = translatable("values from {start} are lost", start=at(0))
    texts = stored_text("fault", gap) | stored_text("last_lost", gap)
    read = from_document(SourceProgress, texts | stored_text("last_refused", gap))
    values = [text.values for text in (read.fault, read.last_lost, read.last_refused)]
    assert values == [{"start": at(0)}] * 3


def test_absent_fields_take_their_default_and_scalars_are_read_as_they_are_stored():
    assert from_document(Whole, {"count": 1, "level": 2.0, "flag": False}) == Whole(1, 2.0, False)
    read = from_document(Whole, {"count": 1, "level": 2, "flag": True, "value": "wet"})
    assert (read.level, type(read.level), read.value) == (2, int, "wet")


def test_a_missing_value_and_one_of_another_type_are_refused():
    whole = stored(WHOLE)
    part = stored(PART)
    read = []
    for wrong in (
        {"count": 1},
        *(
            whole | spoilt
            for spoilt in (
                {"count": float("nan")},
                {"count": True},
                {"count": None},
                {"level": "high"},
                {"flag": 1},
                {"value": True},
                {"names": "a"},
                {"first": part | {"state": "new"}},
                {"first": part | {"at": "noon"}},
                {"first": 5},
            )
        ),
    ):
        with suppress(TypeError, ValueError, AttributeError, KeyError):
            read.append(from_document(Whole, wrong))
    assert read == []


def test_numbers_of_numpy_are_written_as_plain_ones():
    numpy = {"count": np.int64(3), "flag": np.bool_(True), "value": np.float64(1.5)}
    document = to_document(replace(WHOLE, level=np.float32(2.5), **numpy))
    assert document == to_document(WHOLE)
    assert [value for value in document.values() if isinstance(value, np.generic)] == []


def test_collections_of_any_kind_are_written_as_arrays_and_documents():
    value = {
        "map": MappingProxyType({"b": np.array([1.5, 2])}),
        "set": {1},
        "tuple": (1, (2, timedelta(seconds=1))),
        4: None,
    }
    assert to_bson(value) == {
        "map": {"b": [1.5, 2.0]},
        "set": [1],
        "tuple": [1, [2, 1000]],
        "4": None,
    }
    assert to_document(replace(WHOLE, names={7: (1, 2)}))["names"] == {"7": [1, 2]}


def test_instants_are_written_in_utc_in_whole_milliseconds_and_refused_without_a_zone():
    east = datetime(2026, 1, 5, 8, 0, 0, 1999, tzinfo=timezone(timedelta(hours=1)))
    utc = datetime(2026, 1, 5, 7, 0, 0, 1000, tzinfo=UTC)
    assert to_bson({"a": [east], "part": Part(east, timedelta(0))}) == {
        "a": [utc],
        "part": {"at": utc, "lasts": 0, "state": "open"},
    }
    naive = at(0).replace(tzinfo=None)
    for place in (naive, {"a": [naive]}, replace(PART, at=naive)):
        with pytest.raises(ValueError, match="has no time zone"):
            to_bson(place)
