"""JSON as the standard library reads it, whatever the faster parser makes of it."""

import json

import pytest

from alerting.usecases.sources.stream import parse_json, read_json, read_lines

pytestmark = pytest.mark.fast

READ = [
    "1.0", "-0", "1e5", "0.1", "4.9e-324", "1e400", "-Infinity", "1234567890123456789012345",
    " [1 ] ", '"\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '{"ä": [null, true, {}]}',
    # names that only look as if they occurred twice
    '{"a": "\\":", "b": "\\"\\":"}', '{"a": {"a": {"a": ":"}}}', '{ "a" : "b:" , "b" : [] }',
]  # fmt: skip
NONE = r"line 1|BOM"
TWICE = "occurs twice in one object"
REFUSED = {
    **dict.fromkeys(
        ["", "01", "1.", "-", "running", '"\x01"', "[1,]", "{'a': 1}", "\ufeff1", '{"a": 1} 2'],
        NONE,
    ),
    '{"a": 1, "a": 2}': TWICE,
    '{"a":1,"a" :2}': TWICE,
    '{"a": {"b": 1, "b": 1}}': TWICE,
    '[{"c": "x\\":"}, {"ts" \n: 1, "ts": 2}]': TWICE,
    '{"": 1, "": 2}': TWICE,
}


def as_text_and_bytes(text):
    return [(repr(found), type(found)) for found in (parse_json(text), parse_json(text.encode()))]


def test_a_text_is_read_as_by_the_standard_library():
    texts = [*READ, '{"a": [NaN, 1]}']
    expected = [[(repr(json.loads(text)), type(json.loads(text)))] * 2 for text in texts]
    assert [as_text_and_bytes(text) for text in texts] == expected


@pytest.mark.parametrize("text", REFUSED)
def test_other_texts_and_objects_in_which_a_name_occurs_twice_are_refused(text):
    for given in (text, text.encode()):
        with pytest.raises(ValueError, match=REFUSED[text]):
            parse_json(given)


def test_bytes_that_are_not_utf_8_and_a_text_that_nests_too_deeply_are_refused():
    for given in (b"\xff", b'"\xed\xa0\x80"', b"\xff\xfe1\x00"):
        with pytest.raises(UnicodeDecodeError):
            parse_json(given)
    with pytest.raises(RecursionError):
        parse_json("[" * 100_000)


def test_rows_in_which_a_name_occurs_twice_are_refused_by_their_number_and_the_others_read():
    row = '{"ts": 1, "asset": "a"}'
    twice = '{"ts": 1, "ts": 2, "asset": "a"}'
    for found in (read_json(f"[{row}, {twice}]"), read_lines(f"{row}\n{twice}\n")):
        assert (dict(found.rows), dict(found.unreadable)) == (
            {1: {"ts": 1, "asset": "a"}},
            {2: "'ts' occurs twice in one object"},
        )


def test_a_number_too_small_for_a_float_is_no_zero():
    small = ["1e-400", "-2.5E-330", "0." + "0" * 330 + "1"]
    assert [text for text in small if parse_json(f'{{"a": {text}}}')["a"] == 0] == []
    assert parse_json('{"a": 0e-400, "b": 1e-300}') == {"a": 0.0, "b": 1e-300}
