"""Heads of files that are written to hold whoever reads them: each takes seconds at most."""

from contextlib import suppress
from pathlib import Path
from time import process_time

import pytest

from alerting.adapters.files.heads.file_head import find_head
from alerting.definitions.faults import UserError

ROWS = "".join(f"2026-01-05T{h:02}:00:00Z,{h}.5\n" for h in range(24))
MANY = 9_999


def quoted(cell):
    return f'"{cell}\nX",b\nts,temp\n{ROWS}'


HOSTILE = {
    "words of units": quoted("unit " * 25_000),
    "blanks before a bracket": quoted("x" + " " * 125_000 + "("),
    "digits": quoted("1" * 125_000 + "x"),
    "titles of 200 letters": ",".join(["x in " * 39] * MANY) + "\n" + "1," * MANY + "\n",
    "columns of stamps": "ts,b\n" + (",".join(["2026-01-05 00:00:00"] * 40_000) + "\n") * 8,
    "quotation marks": ('"' * 125_001 + "\n") * 8 + ROWS,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_head_is_read_within_seconds(name):
    began = process_time()
    with suppress(UserError):
        find_head(Path("f.csv"), HOSTILE[name].encode())
    assert process_time() - began < 5


def test_a_label_of_units_is_known_between_other_words():
    """Whole words only, in any of the languages."""
    for label in ("Unit", "[units]", "x unit y", "Einheiten:", "unité"):
        head = find_head(Path("f.csv"), f"ts,temp\n{label},°C\n{ROWS}".encode())
        assert head.unit_line == 2, label
