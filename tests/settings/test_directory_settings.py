"""The document of the plant's directory: closed, with all its faults named together."""

import pytest

from alerting.adapters.oidc import open_directory
from alerting.definitions.faults import DocumentRefused, UserError
from alerting.operators.directory import GroupRule
from alerting.settings.directory import parse_directory
from alerting.settings.environment import SettingsRefused, read_settings
from tests.helpers.console.fake_provider import PUBLIC, SECRET, document, write_files


def test_a_document_gives_the_provider_and_the_rules(tmp_path):
    provider = open_directory(write_files(tmp_path), PUBLIC)
    assert provider.secret == SECRET
    assert provider.redirect_uri == "https://plant.example/login/directory/back"
    assert provider.settings.rules[0] == GroupRule("line-1", "operator", ("line-1",))
    assert provider.settings.oauth_scopes == ("openid", "profile")
    assert SECRET not in repr(provider.settings)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"issuer": "http://login.plant.example"}, "issuer"),
        ({"issuer": "https://"}, "issuer"),
        ({"issuer": "https://login.plant.example /x"}, "issuer"),
        ({"client_secret": "open"}, "client_secret"),
        ({"groups": []}, "groups"),
        ({"groups": [{"group": "a", "role": "sender"}]}, "role"),
        ({"groups": [{"group": "a", "role": "root"}]}, "role"),
        ({"groups": [{"group": "a", "role": "viewer", "scope": []}]}, "scope"),
        ({"groups": [{"group": "a", "role": "admin", "scope": ["line-1"]}]}, "no scope"),
        ({"groups": [{"group": "a", "role": "viewer", "scopes": ["line-1"]}]}, "scopes"),
        ({"title": ""}, "title"),
    ],
)
def test_a_faulty_document_is_refused_by_its_place(changes, fault):
    with pytest.raises(DocumentRefused, match=fault):
        parse_directory(document(**changes), "oidc.yaml")


@pytest.mark.parametrize(
    "issuer", ["http://localhost:8080/o", "http://127.0.0.1:1", "https://[::1]"]
)
def test_a_provider_on_this_machine_may_do_without_tls(issuer):
    assert parse_directory(document(issuer=issuer), "oidc.yaml").issuer == issuer


def test_a_secret_that_others_may_read_is_refused(tmp_path):
    file = write_files(tmp_path)
    (tmp_path / "oidc-secret").chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        open_directory(file, PUBLIC)
    (tmp_path / "oidc-secret").unlink()
    with pytest.raises(UserError, match="cannot be read"):
        open_directory(file, PUBLIC)


def test_an_empty_secret_and_wrong_authorities_are_refused(tmp_path):
    file = write_files(tmp_path, ca_file=str(tmp_path / "none.pem"))
    with pytest.raises(UserError, match="ca_file"):
        open_directory(file, PUBLIC)
    (tmp_path / "oidc-secret").write_text("\n")
    with pytest.raises(UserError, match="is empty"):
        open_directory(file, PUBLIC)


def test_browsers_must_be_sent_back_over_https(tmp_path):
    file = write_files(tmp_path)
    with pytest.raises(UserError, match="ALERTING_PUBLIC_URL must start with https"):
        open_directory(file, "http://plant.example")
    environ = {"ALERTING_HOME": str(tmp_path), "ALERTING_OIDC": str(file)}
    with pytest.raises(SettingsRefused, match="needs ALERTING_PUBLIC_URL"):
        read_settings(environ)
    assert read_settings({**environ, "ALERTING_PUBLIC_URL": PUBLIC}).oidc == file
