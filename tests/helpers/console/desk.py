"""One browser for all tests of a run, signed in on one console of the full plant."""

import pytest

from alerting.console.app import create_app
from alerting.console.plant.import_jobs import Imports
from tests.builders import at
from tests.helpers.console.chromium import open_chromium
from tests.helpers.console.components import add_components
from tests.helpers.console.full_plant import FIRST, NOW, TOKENS_FILE, plant
from tests.helpers.console.server import serving_thread


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    with open_chromium(tmp_path_factory.mktemp("chromium")) as page:
        page.switch_scripts_on()
        yield page


@pytest.fixture(scope="session")
def plant_address(tmp_path_factory):
    files = Imports(tmp_path_factory.mktemp("uploads") / "imports")
    app = create_app(plant(FIRST), TOKENS_FILE, now=lambda: at(NOW), import_files=files)
    add_components(app)
    with serving_thread(app) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def desk(chromium, plant_address):
    """Return the browser, in which the administrator has signed in, and the console's address."""
    chromium.resize(1280, 800)
    chromium.prefer("light")
    token = next(token for token, (_, role) in TOKENS_FILE.items() if role == "admin")
    chromium.sign_in(plant_address, token)
    chromium.complaints.clear()
    return chromium, plant_address
