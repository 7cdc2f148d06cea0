"""A source names only secrets that a setting allows: whoever writes one chooses the server to which
they are sent."""

import pytest

from alerting.adapters.sources.addresses_and_secrets import allowed_secrets
from alerting.definitions.faults import UserError
from alerting.definitions.source_fields import Secret
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


def refusal(secret, **settings):
    with pytest.raises(UserError) as refused:
        found(secret, **settings)
    return str(refused.value)


def test_variables_are_found_by_their_names_those_of_the_platform_never():
    assert found({"env": "BROKER_URL"}) == "mqtt://b"
    assert found({"env": "DB"}, ALERTING_SECRET_NAMES="*_URL, DB") == "x"
    others = {name: refusal({"env": name}) for name in ("AWS_SECRET_ACCESS_KEY", "DB", "PATH")}
    told = "like *_URL, and {0} is none of them: "
    remedy = " add {0} to ALERTING_SECRET_NAMES"
    missing = {
        name: text
        for name, text in others.items()
        if told.format(name) not in text or remedy.format(name) not in text
    }
    assert missing == {}
    own = ("ALERTING_MONGODB_URI", "ALERTING_SLACK_TEAM_URL", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN")
    answers = {name: refusal({"env": name}, ALERTING_SECRET_NAMES="*") for name in own}
    wrong = {name for name, text in answers.items() if "belongs to the platform itself" not in text}
    assert wrong == set()


def test_files_are_allowed_by_their_folder_and_owner_and_links_by_where_they_lead(tmp_path):
    allowed = tmp_path / "allowed"
    other = tmp_path / "other"
    for folder in (allowed, other):
        folder.mkdir()
        (folder / "broker").write_text("mqtt://b\n")
        (folder / "broker").chmod(0o600)
    (allowed / "link").symlink_to(other / "broker")
    (allowed / "inside").symlink_to(allowed / "broker")
    given = {"ALERTING_SECRET_FOLDERS": str(allowed)}
    inside = [found({"file": str(allowed / name)}, **given) for name in ("broker", "inside")]
    assert inside == ["mqtt://b"] * 2
    outside = (other / "broker", allowed / "link", allowed / ".." / "other" / "broker")
    answers = {path: refusal({"file": str(path)}, **given) for path in outside}
    wrong = {path for path, text in answers.items() if "in none of these folders: " not in text}
    assert (wrong, "ALERTING_SECRET_FOLDERS" in f"{[*answers.values()]}") == (set(), True)
    (allowed / "broker").chmod(0o644)
    assert "chmod 600" in refusal({"file": str(allowed / "broker")}, **given)
    missing = refusal({"file": "/run/secrets/no-such-file"})
    assert "/run/secrets/no-such-file, cannot be read" in missing


def test_the_readers_of_polled_sources_obey_and_a_setting_that_is_none_is_refused():
    readers = source_readers(read_settings({"ALERTING_HOME": "/tmp"}), {"PASSWORD": "secret"})
    with pytest.raises(UserError, match="ALERTING_SECRET_NAMES"):
        readers.sql.resolve(Secret(env="PASSWORD"))
    for name, text in (("NAMES", "a_url"), ("FOLDERS", "secrets"), ("FOLDERS", "/a/../etc")):
        with pytest.raises(SettingsRefused, match=f"ALERTING_SECRET_{name}"):
            read_settings({f"ALERTING_SECRET_{name}": text})
