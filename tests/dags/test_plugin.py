"""The platform on Airflow's pages, in a process that loads its plugins as the API server does."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("airflow.sdk")
pytestmark = pytest.mark.models

SCRIPT = """
import json
from airflow import plugins_manager, settings
infos = plugins_manager.get_plugin_info()
views = next(info["external_views"] for info in infos if info["name"] == "alerting")
_, middlewares = plugins_manager.get_fastapi_plugins()
print(
    json.dumps(
        {
            "views": views,
            "words": [alert.text for alert in settings.DASHBOARD_UIALERTS],
            "middlewares": [one["middleware"].__name__ for one in middlewares],
        }
    )
)
"""


def loaded(tmp_path, **environ):
    own = {"AIRFLOW_HOME": str(tmp_path), "ALERTING_HOME": str(tmp_path)} | environ
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_the_menu_entry_is_one_that_airflow_draws_as_a_link_to_the_public_address(tmp_path):
    """Airflow 3.3 draws an external link of the top level as a button without effect; only in a
    menu is it a link, also where it is the only one."""
    public = {"ALERTING_PUBLIC_URL": "https://alerts.plant.example"}
    elsewhere = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "postgresql://db/airflow"}
    not_opened = {"_AIRFLOW_SKIP_DB_TESTS": "true"}  # whose driver need not be installed
    found = loaded(tmp_path, **public, **elsewhere, **not_opened)
    (view,) = found["views"]
    assert (view["href"], view["category"]) == ("https://alerts.plant.example/", "browse")
    assert not view.get("nav_top_level")
    assert found["middlewares"] == []


def test_the_home_page_says_once_that_the_triggerer_is_off_and_sqlite_has_one_writer(tmp_path):
    found = loaded(tmp_path, ALERTING_API_PORT="8123")
    assert found["views"][0]["href"] == "http://127.0.0.1:8123/"
    (words,) = found["words"]
    assert "triggerer is off on purpose" in words
    assert "http://127.0.0.1:8123/" in words
    (words,) = loaded(tmp_path, ALERTING_TRIGGERER="1")["words"]
    assert "triggerer" not in words
    assert found["middlewares"] == ["OneWriter"]
