"""JSON as the standard library reads it, whatever the faster parser makes of it."""

import json

import pytest

from alerting.usecases.sources.json_rows import parse_json, read_json, read_lines

pytestmark = pytest.mark.fast

READ = [
    "1.0",
    "-0",
    "1e5",
    "0.1",
    "4.9e-324",
    "1e400",
    "-Infinity",
    "1234567890123456789012345",
    " [1 ] ",
]
READ += ['"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '{"ä": [null, true, {}]}']
REFUSED = ["", "01", "1.", "-", "running", '"\x01"', "[1,]", "{'a': 1}", "\ufeff1", '{"a": 1} 2']


@pytest.mark.parametrize("text", READ)
def test_a_text_is_read_as_by_the_standard_library(text):
    expected = json.loads(text)
    for found in (parse_json(text), parse_json(text.encode())):
        assert found == expected
        assert type(found) is type(expected)


def test_nan_is_read_as_by_the_standard_library():
    assert str(parse_json(b'{"a": [NaN, 1]}')) == "{'a': [nan, 1]}"


@pytest.mark.parametrize("text", REFUSED)
def test_other_texts_are_refused(text):
    for given in (text, text.encode()):
        with pytest.raises(ValueError, match=r"line 1|BOM"):
            parse_json(given)


@pytest.mark.parametrize("given", [b"\xff", b'"\xed\xa0\x80"', b"\xff\xfe1\x00"])
def test_bytes_that_are_not_utf_8_are_refused(given):
    with pytest.raises(UnicodeDecodeError):
        parse_json(given)


TWICE = [
    '{"a": 1, "a": 2}',
    '{"a":1,"a" :2}',
    '{"a": {"b": 1, "b": 1}}',
    '[{"c": "x\\":"}, {"ts" \n: 1, "ts": 2}]',
    '{"": 1, "": 2}',
]


@pytest.mark.parametrize("text", TWICE)
def test_an_object_in_which_a_name_occurs_twice_is_refused(text):
    for given in (text, text.encode()):
        with pytest.raises(ValueError, match="occurs twice in one object"):
            parse_json(given)


@pytest.mark.parametrize(
    "text",
    ['{"a": "\\":", "b": "\\"\\":"}', '{"a": {"a": {"a": ":"}}}', '{ "a" : "b:" , "b" : [] }'],
)
def test_names_that_only_look_as_if_they_occurred_twice_are_read(text):
    assert parse_json(text) == json.loads(text)


def test_rows_in_which_a_name_occurs_twice_are_refused_by_their_number_and_the_others_read():
    row = '{"ts": 1, "asset": "a"}'
    twice = '{"ts": 1, "ts": 2, "asset": "a"}'
    for found in (read_json(f"[{row}, {twice}]"), read_lines(f"{row}\n{twice}\n")):
        assert (dict(found.rows), dict(found.unreadable)) == (
            {1: {"ts": 1, "asset": "a"}},
            {2: "'ts' occurs twice in one object"},
        )


@pytest.mark.parametrize("text", ["1e-400", "-2.5E-330", "0." + "0" * 330 + "1"])
def test_a_number_too_small_for_a_float_is_no_zero(text):
    assert parse_json(f'{{"a": {text}}}')["a"] != 0
    assert parse_json('{"a": 0e-400, "b": 1e-300}') == {"a": 0.0, "b": 1e-300}


def test_a_text_that_nests_too_deeply_is_refused():
    with pytest.raises(RecursionError):
        parse_json("[" * 100_000)
