"""A source names only secrets that a setting allows: whoever writes one chooses the server to which
they are sent."""

import pytest

from alerting.adapters.sources.secrets import allowed_secrets
from alerting.definitions.faults import UserError
from alerting.definitions.sources.mapping import Secret
from alerting.settings.environment import SettingsRefused, read_settings
from alerting.wiring import source_readers

pytestmark = pytest.mark.fast

SECRETS = {
    "ALERTING_MONGODB_URI": "mongodb://secret",
    "BROKER_URL": "mqtt://b",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "DB": "x",
}


def found(secret, **settings):
    """Return a secret as a process with these settings finds it."""
    environ = {**SECRETS, **settings}
    return allowed_secrets(
        environ, read_settings(environ | {"ALERTING_HOME": "/tmp"}).secret_rules
    )(Secret(**secret))


def test_the_address_of_a_broker_is_found_without_a_setting():
    assert found({"env": "BROKER_URL"}) == "mqtt://b"


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "DB", "PATH"])
def test_other_variables_are_refused_with_the_setting_that_allows_them(name):
    with pytest.raises(
        UserError,
        match=f"like \\*_URL, and {name} is none of them: .* add {name} to ALERTING_SECRET_NAMES",
    ):
        found({"env": name})
    assert found({"env": "DB"}, ALERTING_SECRET_NAMES="*_URL, DB") == "x"


@pytest.mark.parametrize(
    "name",
    ["ALERTING_MONGODB_URI", "ALERTING_SLACK_TEAM_URL", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"],
)
def test_variables_of_the_platform_itself_are_never_allowed(name):
    with pytest.raises(UserError, match="belongs to the platform itself"):
        found({"env": name}, ALERTING_SECRET_NAMES="*")


def test_files_are_allowed_by_their_folder_and_links_by_where_they_lead(tmp_path):
    allowed = tmp_path / "allowed"
    other = tmp_path / "other"
    for folder in (allowed, other):
        folder.mkdir()
        (folder / "broker").write_text("mqtt://b\n")
        (folder / "broker").chmod(0o600)
    (allowed / "link").symlink_to(other / "broker")
    (allowed / "inside").symlink_to(allowed / "broker")
    given = {"ALERTING_SECRET_FOLDERS": str(allowed)}
    assert [found({"file": str(allowed / name)}, **given) for name in ("broker", "inside")] == [
        "mqtt://b"
    ] * 2
    for path in (other / "broker", allowed / "link", allowed / ".." / "other" / "broker"):
        with pytest.raises(
            UserError, match=r"in none of these folders: .* ALERTING_SECRET_FOLDERS"
        ):
            found({"file": str(path)}, **given)
    with pytest.raises(UserError, match="/run/secrets/no-such-file, cannot be read"):
        found({"file": "/run/secrets/no-such-file"})


def test_the_readers_of_polled_sources_obey(monkeypatch):
    settings = read_settings({"ALERTING_HOME": "/tmp"})
    readers = source_readers(settings, {"PASSWORD": "secret"})
    with pytest.raises(UserError, match="ALERTING_SECRET_NAMES"):
        readers.sql.resolve(Secret(env="PASSWORD"))


@pytest.mark.parametrize(
    ("name", "text"), [("NAMES", "a_url"), ("FOLDERS", "secrets"), ("FOLDERS", "/a/../etc")]
)
def test_a_setting_that_is_none_is_refused(name, text):
    with pytest.raises(SettingsRefused, match=f"ALERTING_SECRET_{name}"):
        read_settings({f"ALERTING_SECRET_{name}": text})
