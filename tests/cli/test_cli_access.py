"""The commands of people, tokens and the audit, as an administrator of the host types them."""

import json
import re
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from alerting.cli import support
from alerting.cli.main import app
from alerting.cli.operators import access
from alerting.definitions.assets import Asset
from alerting.operators.people import hash_secret
from tests.in_memory_platform import in_memory_platform


@pytest.fixture
def platform(monkeypatch):
    made = in_memory_platform()

    @contextmanager
    def opened():
        yield made

    monkeypatch.setattr(access, "platform", opened)
    for module in (access, support):
        monkeypatch.setattr(module, "user", lambda: "emil")
    return made


def alerting(*words, code=0):
    result = CliRunner().invoke(app, words, env={"COLUMNS": "300"})
    assert result.exit_code == code, result.output
    return result.output


def test_a_lost_administrator_is_made_again_by_one_command_on_the_host(platform):
    printed = alerting("access", "person", "add", "ada", "--role", "admin", "--shown", "Ada L")
    code = re.search(r"/password/([\w-]+)", printed)[1]
    account = platform.accounts.get("ada")
    assert (account.role, account.link) == ("admin", hash_secret(code))
    assert "Ada L" in alerting("access", "person", "list")
    again = re.search(r"/password/([\w-]+)", alerting("access", "person", "link", "ada"))[1]
    assert platform.accounts.get("ada").link == hash_secret(again) != hash_secret(code)


def test_a_person_is_changed_disabled_enabled_and_removed(platform):
    alerting("access", "person", "add", "anna")
    alerting("access", "person", "role", "anna", "viewer")
    assert platform.accounts.get("anna").role == "viewer"
    alerting("access", "person", "disable", "anna")
    assert platform.accounts.get("anna").disabled_at is not None
    alerting("access", "person", "enable", "anna")
    assert platform.accounts.get("anna").disabled_at is None
    alerting("access", "person", "remove", "anna")
    assert platform.accounts.get("anna") is None


def test_a_shared_device_is_added_started_by_its_link_and_disabled(platform):
    printed = alerting("access", "device", "add", "Tablet-1")
    first = re.search(r"/password/([\w-]+)", printed)[1]
    assert "open this link on tablet-1" in printed
    account = platform.accounts.get("tablet-1")
    assert (account.kind, account.role, account.link) == ("device", "operator", hash_secret(first))
    assert "open this link on tablet-1" in alerting("access", "person", "link", "tablet-1")
    listed = json.loads(alerting("access", "person", "list", "--json"))
    assert [(row["name"], row["state"]) for row in listed] == [("tablet-1", "shared device")]
    alerting("access", "person", "disable", "tablet-1")
    assert platform.accounts.get("tablet-1").disabled_at is not None


def test_a_scope_is_set_listed_and_lifted(platform):
    platform.assets.store_assets([Asset(name="line-1"), Asset(name="line-2")])
    alerting("access", "person", "add", "anna")
    assert "line-1" in alerting("access", "person", "scope", "anna", "line-1")
    assert platform.accounts.get("anna").scope == ("line-1",)
    assert "line-1" in alerting("access", "person", "list")
    alerting("access", "person", "scope", "anna", "line-9", code=1)
    made = ("access", "token", "create", "export", "--owner", "anna", "--role", "viewer")
    alerting(*made, "--scope", "line-1")
    alerting(*made, "--scope", "line-2", code=1)
    assert [token.scope for token in platform.access_tokens.all()] == [("line-1",)]
    assert "the whole plant" in alerting("access", "person", "scope", "anna")
    assert platform.accounts.get("anna").scope is None


def test_a_token_is_printed_once_listed_without_it_and_revoked(platform):
    alerting("access", "person", "add", "anna", "--role", "engineer")
    printed = alerting("access", "token", "create", "line 3", "--owner", "anna", "--for", "30d")
    secret = re.search(r"al_[\w-]+", printed)[0]
    token = platform.access_tokens.get(hash_secret(secret))
    assert (token.role, token.name) == ("sender", "line 3")
    listed = json.loads(alerting("access", "token", "list", "--json"))
    assert secret not in str(listed)
    alerting("access", "token", "revoke", listed[0]["key"])
    assert platform.access_tokens.all() == []


def test_the_audit_lists_who_did_what(platform):
    alerting("access", "person", "add", "anna")
    alerting("access", "person", "role", "anna", "viewer")
    printed = alerting("access", "audit", "--about", "anna")
    assert "emil" in printed
    assert "role: operator → viewer" in printed
    found = json.loads(alerting("access", "audit", "--what", "person added", "--json"))
    assert [(entry["actor"], entry["subject"]) for entry in found] == [("emil", "anna")]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("access", "person", "add", "anna", "--role", "boss"), "there is no role 'boss'"),
        (("access", "person", "role", "anna", "viewer"), "no account 'anna'"),
        (("access", "person", "add", "with blank"), "is not possible"),
        (("access", "device", "add", "t-1", "--role", "admin"), "viewer or operator, not admin"),
        (("access", "token", "create", "x", "--owner", "anna"), "no account 'anna'"),
        (("access", "token", "revoke", "abc"), "no token 'abc'"),
    ],
)
def test_a_refusal_names_what_is_wrong(platform, words, says):
    assert says in alerting(*words, code=1)
