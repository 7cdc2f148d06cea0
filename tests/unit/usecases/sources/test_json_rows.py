"""JSON as the standard library reads it, whatever the faster parser makes of it."""

import json

import pytest

from alerting.usecases.sources.json_rows import parse_json

READ = ['{"a": 1, "a": 2}', "1.0", "-0", "1e5", "0.1", "4.9e-324", "1e400", "-Infinity", "1234567890123456789012345", " [1 ] "]
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


def test_a_text_that_nests_too_deeply_is_refused():
    with pytest.raises(RecursionError):
        parse_json("[" * 100_000)
