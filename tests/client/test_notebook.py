"""The notebook runs, cell by cell, against the API of a platform."""

import json
from functools import partial
from pathlib import Path

import pandas as pd
from fastapi.testclient import TestClient

import alerting.client
from alerting.client import Client
from alerting.console.app import create_app
from tests.builders import at
from tests.helpers.console.api import episode
from tests.helpers.console.full_plant import FIRST, NOW, TOKENS_FILE, plant
from tests.helpers.console.whole_answers import transport_of
from tests.helpers.reports import store_report

NOTEBOOK = Path(__file__).parents[2] / "config" / "examples" / "notebook" / "first-look.ipynb"
MOIST = f"{FIRST}-moist"
OVEN = f"{FIRST}-oven"


def test_the_cells_run_one_after_the_other_and_show_what_the_platform_has(monkeypatch):
    platform = plant(FIRST)
    of_model = {"definition": MOIST, "kind": "classifier", "title": "Moist"}
    assert platform.episodes.insert(episode(NOW - 200, OVEN, **of_model))
    store_report(
        platform, definition=MOIST, metrics={"alarms": 3}, sentences=("Three alarms came.",)
    )
    served = TestClient(create_app(platform, TOKENS_FILE, now=lambda: at(NOW)))
    monkeypatch.setattr(alerting.client, "Client", partial(Client, transport=transport_of(served)))
    monkeypatch.setenv("ALERTING_TOKEN", "viewer-of-the-plant-0123456789")
    book = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    names = {}
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
            exec("".join(cell["source"]), names)  # noqa: S102 - of our own notebook
    assert names["definition"] == MOIST
    assert names["champion"]["version"] == 1
    assert names["evidence"]["version"] == 2  # which waits
    assert names["reasons"].to_dict("records") == [
        {"variable": "zone_2", "share": 0.31, "message": "zone 2 is 12 °C above its usual"}
    ]
    readings = names["readings"]
    assert {"temperature", "moisture"} <= set(readings.columns)
    assert readings.index.max() <= pd.Timestamp(at(NOW - 200)) + pd.Timedelta(hours=1)
    assert readings["temperature"].dropna().between(200, 220).all()
    assert names["report"]["metrics"] == {"alarms": 3}
    assert names["report"]["sentences"] == ["Three alarms came."]
