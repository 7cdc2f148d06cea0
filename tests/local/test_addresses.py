"""The table that `alerting up` prints, on a terminal of 80 columns."""

import io

import pytest
from rich.console import Console

from alerting.local.prepare import ROLES, load_or_create
from alerting.local.up import Screen, address_lines
from alerting.settings.environment import Settings

pytestmark = pytest.mark.fast


@pytest.fixture
def secrets(tmp_path):
    return load_or_create(tmp_path / "secrets")


def printed(lines, width):
    """Return what a terminal of this width shows of the lines."""
    screen = Screen()
    screen._console = Console(
        file=io.StringIO(), width=width, highlight=False, soft_wrap=True, force_terminal=True
    )
    for line in lines:
        screen.print(line)
    return screen._console.file.getvalue()


@pytest.mark.parametrize("width", [40, 80])
def test_a_long_address_neither_cuts_a_name_nor_is_cut(secrets, tmp_path, width):
    home = tmp_path / ("a-long-folder/" * 12)
    mongodb = "mongodb://anna:hidden@" + ",".join(
        f"database-{n}.plant.example:27017" for n in range(5)
    )
    settings = Settings(
        home=home, mongodb_uri=mongodb, mlflow_uri="https://mlflow.plant.example/" + "team/" * 20
    )
    text = printed(address_lines(settings, secrets), width)
    for shown in (
        "MongoDB",
        "Files",
        "MLflow",
        "Airflow",
        str(home),
        mongodb.replace("anna:hidden@", ""),
        settings.mlflow_uri,
    ):
        assert shown in text
    assert "hidden" not in text


def test_each_token_stands_beside_its_role_and_what_it_may_do(secrets):
    lines = address_lines(Settings(home=secrets.folder.parent), secrets)
    assert set(secrets.api_tokens) == set(ROLES)
    for role, may in (
        ("viewer", "reads everything"),
        ("sender", "sends data, reads nothing"),
        ("operator", "answers alarms"),
    ):
        (line,) = (line for line in lines if secrets.api_tokens[role] in line)
        assert line.split()[0] == role
        assert may in line
