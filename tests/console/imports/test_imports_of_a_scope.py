"""An engineer of line 1 imports to line 1 alone, and learns nothing of line 2 from a file."""

import pytest
from fastapi.testclient import TestClient

from alerting.adapters.files.upload_folder import UploadFolder
from alerting.console.app import create_app
from tests.builders import at
from tests.helpers.console.api import expect_problem
from tests.helpers.console.two_lines import (
    FIRST,
    NOW,
    SECOND,
    TOKENS_FILE,
    in_a_browser,
    of_the_plant,
    plant,
    sender,
)
from tests.helpers.console.uploads import URL, checked, written

OVEN = f"{SECOND}-oven"
ENGINEER = sender("engineer").headers
ROWS = "ts,asset,temperature\n2026-02-05T06:00:00Z,{asset},1.5\n2026-02-05T06:01:00Z,{asset},2.5\n"


@pytest.fixture
def platform():
    return plant(FIRST, SECOND)


@pytest.fixture
def client(platform, tmp_path):
    folder = UploadFolder(tmp_path / "imports")
    app = create_app(platform, TOKENS_FILE, now=lambda: at(NOW), import_files=folder)
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


def rows_of(asset):
    return ROWS.format(asset=asset).encode()


def test_readings_of_line_1_are_written_and_a_variable_is_added(client, platform):
    content = rows_of(f"{FIRST}-oven").replace(b"temperature", b"humidity")
    done = written(client, checked(client, content, ENGINEER)["id"], ENGINEER)
    assert (done["state"], done["result"]["new"]) == ("done", 2)
    assert "humidity" in platform.assets.get(f"{FIRST}-oven").variables


def test_a_file_of_line_2_is_refused_as_one_of_an_asset_that_does_not_exist(client, platform):
    before = platform.assets.get(OVEN), platform.readings.span(OVEN)
    hidden = checked(client, rows_of(OVEN), ENGINEER)
    unknown = checked(client, rows_of("no-such-oven"), ENGINEER)
    assert (hidden["state"], unknown["state"]) == ("refused", "refused")
    assert hidden["fault"].replace(OVEN, "no-such-oven") == unknown["fault"]
    assert "outside of the part of the plant" in hidden["fault"]
    by_choice = checked(client, rows_of("x").replace(b",asset", b",a"), ENGINEER, asset=OVEN)
    assert by_choice["state"] == "refused"
    expect_problem(client.post(f"{URL}/{hidden['id']}:write", headers=ENGINEER), 422)
    assert (platform.assets.get(OVEN), platform.readings.span(OVEN)) == before
    assert platform.assets.get("no-such-oven") is None


def test_imports_of_others_are_those_of_the_whole_plant_alone(client):
    whole = of_the_plant("engineer").headers
    id = checked(client, rows_of(OVEN), whole)["id"]
    expect_problem(client.get(f"{URL}/{id}", headers=ENGINEER), 404)
    assert id not in client.get(URL, headers=ENGINEER).text
    own = checked(client, rows_of(f"{FIRST}-oven"), ENGINEER)["id"]
    assert own in client.get(URL, headers=whole).text


def test_the_form_offers_the_assets_in_scope(client):
    page = client.get("/import", headers=in_a_browser(sender("engineer")).headers).text
    assert f"<option>{FIRST}-oven</option>" in page
    assert SECOND not in page
