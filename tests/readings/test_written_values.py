"""A value means the same in a file and in a message: the words for no value, numbers, truth values,
and why a text is none."""

from datetime import UTC, datetime

import pytest

from alerting.adapters.files import cells as cell
from alerting.definitions.asset_documents import Variable
from alerting.definitions.sources import parse_source
from alerting.readings.written_values import (
    MISSING_TEXTS,
    read_instant,
    show,
)
from alerting.usecases.sources.records import read_events, read_readings
from tests.builders import oven
from tests.in_memory_platform import memory_platform

pytestmark = pytest.mark.fast
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
HTTP = parse_source({"name": "gate", "kind": "http", "asset": "oven-1"})
TEXTS = (
    *MISSING_TEXTS,
    *("1", " 2.5 ", "-.5e3", "1e3", "+7", "1,234.5", "1 234", "1'234'567", "12,5", "1.234.567"),
    *("inf", "-Infinity", "1e999", "Nan", "true", "FALSE", "0", "1.0", "2", "hot", "Badge"),
    *("Bad", "BadNoCommunication", "Bad Input", "no data", "unavailable", "Fehler", "######"),
    *("[-11059] No Good Data", "<0.05", "> 100 mg/l", "≥1.5e3", "<b>", "+++++"),
)


def of_file(text, kind):
    """Return the value of a cell, or why it is none."""
    cells = cell.clean(cell.column([text]))
    (found,) = cell.values(cells, kind, ".")[0].tolist()
    is_bad = cell.values(cells, kind, ".")[1][0]
    return cell.why_bad(cells[0].as_py(), kind).split(";")[0] if is_bad else found


def of_message(text, kind):
    platform = memory_platform()
    platform.assets.store_assets([oven(x=Variable(type=kind))])
    read = read_readings(platform.assets, HTTP, [{"ts": NOON, "x": text, "other": 1}], UTC)
    assert read.readings[0].values["other"] == 1
    if read.refused:
        return read.refused[0].reason.removeprefix("x: ").split(";")[0]
    return read.readings[0].values.get("x")


@pytest.mark.parametrize("kind", ["number", "boolean", "category"])
def test_a_text_means_the_same_in_a_file_and_in_a_message(kind):
    found = {text: of_message(text, kind) for text in TEXTS}
    of_files = {text: of_file(text, kind) for text in TEXTS}
    assert {of_files[text] for text in MISSING_TEXTS} == {None}
    # JSON has null: a text of a declared category is one of its values
    levels = {text: text for text in MISSING_TEXTS if text} if kind == "category" else {}
    assert found == {**of_files, **levels}
    refused = {
        "number": ["'Bad' is not a number", "'<0.05' is not a number"],
        "boolean": ["'Bad' is neither true nor false", "'<0.05' is neither true nor false"],
        "category": ["Bad", "<0.05"],
    }
    assert [found["Bad"], found["<0.05"]] == refused[kind]


def test_a_sensor_that_says_only_that_it_is_bad_is_seen_at_its_source():
    platform = memory_platform()
    platform.assets.store_assets([oven(x=Variable())])
    read = read_readings(platform.assets, HTTP, [{"ts": NOON, "x": "Bad"}], UTC)
    assert read.readings == []
    assert [refused.reason for refused in read.refused] == ["x: 'Bad' is not a number"]


def test_a_word_for_no_value_declares_nothing_and_stays_a_value_of_a_declared_category():
    platform = memory_platform()
    words = [None, "", "none", "-", "high", "none", "", "-", "NA"]
    rows = [{"ts": NOON, "alarm": word, "other": 1} for word in words]
    read = read_readings(platform.assets, HTTP, rows, UTC)
    assert [row.values.get("alarm") for row in read.readings] == [
        *(None, None, None, None, "high", "none", None, "-", "NA"),
    ]
    platform.assets.store_assets(read.assets)
    alone = read_readings(platform.assets, HTTP, [{"ts": NOON, "alarm": "none"}], UTC)
    assert ([row.values for row in alone.readings], alone.refused) == ([{"alarm": "none"}], [])


def test_an_attribute_of_an_event_has_the_words_for_no_value_of_files():
    stop = {"ts": NOON, "type": "stop", "cause": "none", "by": "-", "shift": "B"}
    platform = memory_platform()
    platform.assets.store_assets([oven(cause=Variable(type="category"))])
    source = HTTP.model_copy(update={"delivers": "events"})
    [event] = read_events(platform.assets, source, [stop], UTC).events
    assert event.attributes == {"shift": "B"}


class Counted:
    """A part of a message that counts how often it is written as text."""

    written = 0

    def __repr__(self):
        Counted.written += 1
        return "part"


def test_of_a_long_list_no_more_is_written_than_a_refusal_shows():
    long = [Counted() for _ in range(20_000)]
    assert show(long) == ("[" + '"part", ' * 10)[:79] + "…"
    with pytest.raises(ValueError, match="is not a time; write ISO 8601"):
        read_instant(long, UTC)
    assert Counted.written < 200
