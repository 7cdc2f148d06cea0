"""A change of unit within a file is asked about, however the file writes its numbers."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alerting.adapters.files.readings_and_events import ReadingsFile
from alerting.definitions.file_form import FileForm
from alerting.usecases.ingestion.imported_files import notes

pytestmark = pytest.mark.fast

ROWS = 900
FIRST = datetime(2026, 3, 2, tzinfo=UTC)
LEVELS = np.random.default_rng(3).normal(40, 4, ROWS)
WATTS = np.where(np.arange(ROWS) < 600, LEVELS, 1000 * LEVELS)


def plain(i):
    return f"{FIRST + timedelta(minutes=10 * i):%Y-%m-%dT%H:%M:%SZ},{WATTS[i]:.3f},{LEVELS[i]:.2f}"


def of_germany(i):
    return ";".join(
        (
            f"{FIRST + timedelta(minutes=10 * i):%d.%m.%Y %H:%M:%S}",
            f"{WATTS[i]:.3f}".replace(".", ","),
            "" if i % 7 else f"{LEVELS[i]:.2f}".replace(".", ","),
        )
    )


FILES = {
    "plain": ["ts,load,temp", *map(plain, range(ROWS))],
    "the newest first": ["ts,load,temp", *map(plain, reversed(range(ROWS)))],
    "decimal commas and empty cells": ["Zeit;load;temp", *map(of_germany, range(ROWS))],
}


def notes_of(path, layout):
    file = ReadingsFile(path, layout)
    profile = file.profile(lambda *_: None)
    types = {title: column.inferred() for title, column in profile.columns.items()}
    return [note for note in notes(file, profile, types) if "another unit" in note]


REMEDY = "state another unit in the title of its column, as `mass [g]`: it is then converted"


def test_a_change_of_unit_is_asked_about(tmp_path):
    found = {}
    for what, lines in FILES.items():
        path = tmp_path / "readings.csv"
        path.write_text("\n".join(lines))
        found[what] = notes_of(path, FileForm(asset="pump"))
    sentence = "load is 1,000 times as high from 2026-03-06 on (another unit?)"
    assert found == {what: [sentence, REMEDY] for what in FILES}


def test_the_asset_is_named_where_there_are_several(tmp_path):
    path = tmp_path / "readings.csv"
    lines = [f"{plain(i)},pump-{i % 3}" for i in range(ROWS)]
    path.write_text("\n".join(["ts,load,temp,asset", *lines]))
    assert sorted(notes_of(path, FileForm())) == [
        *(
            f"load of pump-{i} is 1,000 times as high from 2026-03-06 on (another unit?)"
            for i in range(3)
        ),
        REMEDY,
    ]
