"""Markers of the cost of a test, from the words of its file and from its fixtures."""

import re
from functools import cache
from pathlib import Path

FAST = "pytest.mark.fast"
FIXTURES = {
    "server": {"real_mongod", "mongod"},
    "browser": {"browser"},
    "airflow": {"reader", "folder"},
}
WORDS = {
    "server": re.compile(
        r"EmbeddedMongod\(|tests\.helpers\.(?:brokers|databases|file_servers|killed_processes)\b"
    ),
    "airflow": re.compile(r"running_airflow|\.follow_until\(\"demo-line is ready\""),
}


@cache
def source_of(path):
    """Return the text of a test file."""
    return Path(path).read_text(encoding="utf-8")


def is_slow_file(path):
    """Return whether a file of tests is not one of the fast ones: it need not be imported for
    `-m fast`."""
    return path.name.startswith("test_") and path.suffix == ".py" and FAST not in source_of(path)


def holds_fast_tests(folder):
    """Return whether a folder, or one below it, holds a fast file."""
    return any(not is_slow_file(path) for path in folder.rglob("test_*.py"))


@cache
def costs_of_words(path):
    """Return the markers that follow from words of a file, for all its tests."""
    return [mark for mark, words in WORDS.items() if words.search(source_of(path))]


def costs(item):
    """Yield the markers of a test that follow from its fixtures and from words of its file."""
    names = set(item.fixturenames)
    for mark, fixtures in FIXTURES.items():
        if mark == "airflow" and "dags" not in item.path.parts:
            continue
        if fixtures & names:
            yield mark
    yield from costs_of_words(item.path)
