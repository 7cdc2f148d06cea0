"""The API as programs know it: a field, parameter or operation changes by decision."""

from pathlib import Path

from tools.pages.api_description import api_description

STORED = Path(__file__).with_name("openapi.txt")


def test_the_api_is_as_it_is_described():
    is_the_same = STORED.read_text(encoding="utf-8") == api_description()
    assert is_the_same, "if programs may see the difference: make docs, and a line in CHANGELOG.md"
