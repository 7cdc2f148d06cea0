"""People are added, changed, disabled and removed, and set passwords by links that work once."""

from functools import partial

import pytest

from alerting.adapters.passwords_and_links import Argon2Passwords
from alerting.definitions.faults import NotFound, UserError
from alerting.episodes.episode import PLATFORM
from alerting.operators.account_rules import LINK_LASTS, is_reserved
from alerting.ports import AuditFilter
from alerting.usecases.access import accounts
from alerting.usecases.access.accounts import (
    admit_from_directory,
    begin_session,
    check_password,
    find_session,
    find_session_account,
)
from alerting.usecases.access.devices_and_tokens import create_token, find_token_user, revoke_token
from alerting.usecases.document_life import EDITOR
from tests.builders import at
from tests.in_memory_platform import memory_platform

PASSWORD = "correct horse battery"
QUICK = Argon2Passwords(passes=1, memory_kib=8)


@pytest.fixture
def platform():
    """A platform on which anna, an operator, has set her password."""
    made = memory_platform()
    with_password(made)
    return made


def with_password(platform, name="anna", role="operator"):
    _, code = accounts.add_person(platform, name, role, "ada", at(0))
    accounts.set_password(platform, QUICK, code, PASSWORD, at(0))
    return code


def make_token(platform, name="gateway", role="viewer", until=9_000):
    return create_token(platform, name, "anna", role, at(until), "ada", at(1))


def is_signed_in(platform, cookie, minute):
    session = find_session(platform, cookie, at(minute))
    return session is not None and find_session_account(platform, session) is not None


def test_a_person_signs_in_with_the_password_set_by_a_link_that_works_once():
    platform = memory_platform()
    code = with_password(platform)
    assert check_password(platform, QUICK, "anna", PASSWORD).role == "operator"
    for name, password in (("anna", PASSWORD + "x"), ("nobody", PASSWORD)):
        assert check_password(platform, QUICK, name, password) is None
    with pytest.raises(UserError, match="no longer valid"):
        accounts.set_password(platform, QUICK, code, "another long password", at(1))


def test_nobody_is_called_as_the_platform_acts(platform):
    add = partial(accounts.add_person, platform)
    refused = []
    for name in (EDITOR, "directory", PLATFORM, "demo", "admin"):
        assert is_reserved(name)
        directory = (platform, name, ["crew"], {"crew": "viewer"}, at(2))
        refused += [
            partial(add, name.lower(), "viewer", "ada", at(0), kind="device"),
            partial(admit_from_directory, *directory, create=True),
        ]
    for shown in ("MongoDB", "ADMIN", "platform "):
        changed = {"display_name": shown}
        refused += [
            partial(add, "bob", "viewer", "ada", at(0), **changed),
            partial(accounts.change_person, platform, "anna", "ada", at(1), **changed),
        ]
    for act in refused:
        with pytest.raises(UserError, match="platform itself acts"):
            act()


def test_a_link_ends_after_three_days_and_with_the_next_one_and_outlasts_a_weak_password():
    platform = memory_platform()
    _, first = accounts.add_person(platform, "anna", "viewer", "ada", at(0))
    with pytest.raises(UserError, match="12 to 200"):
        accounts.set_password(platform, QUICK, first, "short", at(1))
    assert accounts.find_link(platform, first, at(1)).id == "anna"
    assert accounts.find_link(platform, first, at(0) + LINK_LASTS) is None
    second = accounts.make_link(platform, "anna", "ada", at(1))
    assert accounts.find_link(platform, first, at(2)) is None
    assert accounts.find_link(platform, second, at(2)).id == "anna"


def test_disabling_ends_sessions_and_tokens_at_once_and_enabling_only_brings_back_tokens(platform):
    cookie = begin_session(platform, "anna", at(1), "10.0.0.7")
    token, _ = make_token(platform)
    found = []
    for minute, act in ((2, None), (3, accounts.disable_account), (4, accounts.enable_account)):
        if act is not None:
            act(platform, "anna", "ada", at(minute))
        user = find_token_user(platform, token.id, at(minute))
        may_sign_in = check_password(platform, QUICK, "anna", PASSWORD) is not None
        found.append((is_signed_in(platform, cookie, minute), user and user.name, may_sign_in))
    assert found == [(True, "anna", True), (False, None, False), (False, "anna", True)]


def test_a_new_password_ends_the_sessions_of_before(platform):
    cookie = begin_session(platform, "anna", at(1), "10.0.0.7")
    with pytest.raises(UserError, match="wrong"):
        accounts.change_password(
            platform, QUICK, "anna", "not it at all", "another long one", at(2)
        )
    assert is_signed_in(platform, cookie, 2)
    accounts.change_password(platform, QUICK, "anna", PASSWORD, "another long one", at(2))
    assert not is_signed_in(platform, cookie, 2)


def test_a_removed_person_leaves_the_audit_and_nothing_else(platform):
    make_token(platform)
    cookie = begin_session(platform, "anna", at(1), "10.0.0.7")
    accounts.remove_person(platform, "anna", "ada", at(2))
    assert (platform.accounts.all(), platform.access_tokens.all()) == ([], [])
    assert not is_signed_in(platform, cookie, 2)
    entries = reversed(platform.audit.find(AuditFilter(), 100))
    assert [entry.what for entry in entries] == [
        "person added",
        "password set",
        "token made",
        "person removed",
    ]


def test_a_role_that_shrinks_shrinks_the_tokens_too():
    platform = memory_platform()
    with_password(platform, role="engineer")
    tokens = [make_token(platform, role, role)[0] for role in ("engineer", "sender")]
    accounts.change_person(platform, "anna", "ada", at(2), role="viewer")
    assert [find_token_user(platform, one.id, at(3)).role for one in tokens] == ["viewer"] * 2


def test_refusals_name_what_is_wrong_and_nobody_takes_their_own_rights_by_mistake(platform):
    with_password(platform, "ada", "admin")
    own = (platform, "ada", "ada", at(1))
    add = partial(accounts.add_person, platform)
    for act, fault in (
        (partial(accounts.disable_account, *own), "your own account"),
        (partial(accounts.remove_person, *own), "your own account"),
        (partial(accounts.change_person, *own, role="viewer"), "your own account"),
        (partial(add, "anna", "viewer", "ada", at(0)), "is taken"),
        (partial(add, "gateway", "sender", "ada", at(0)), "for programs"),
        (partial(accounts.make_link, platform, "ana", "ada", at(0)), "anna"),
    ):
        with pytest.raises((UserError, NotFound), match=fault):
            act()


def test_the_audit_of_people_holds_before_and_after_but_no_secret(platform):
    accounts.change_person(platform, "anna", "ada", at(3), role="engineer")
    changed = platform.audit.find(AuditFilter(what="person changed"), 1)[0]
    assert (changed.before["role"], changed.after["role"]) == ("operator", "engineer")
    whole = str(platform.audit.entries)
    secrets = ("argon2", platform.accounts.get("anna").password)
    assert [secret for secret in secrets if secret in whole] == []


def test_names_of_the_tokens_file_become_services_that_can_be_disabled():
    platform = memory_platform()
    accounts.register_services(platform, {"operator": "operator", "gateway-3": "sender"}, at(0))
    accounts.register_services(platform, {"operator": "viewer"}, at(1))
    assert [(a.id, a.kind, a.role) for a in platform.accounts.all()] == [
        ("gateway-3", "service", "sender"),
        ("operator", "service", "viewer"),
    ]
    with pytest.raises(UserError, match="tokens file"):
        accounts.remove_person(platform, "operator", "ada", at(2))
    assert accounts.disable_account(platform, "operator", "ada", at(2)).disabled_at == at(2)


# Tokens


def test_a_token_ends_at_its_time_and_when_it_is_revoked(platform):
    token, secret = make_token(platform, until=60)
    assert secret not in str(platform.access_tokens.all())
    assert find_token_user(platform, token.id, at(59)) is not None
    assert find_token_user(platform, token.id, at(60)) is None
    revoke_token(platform, token.key, "ada", at(30))
    assert find_token_user(platform, token.id, at(30)) is None
    with pytest.raises(NotFound):
        revoke_token(platform, token.key, "ada", at(30))


@pytest.mark.parametrize("role", ["engineer", "admin", "sender"])
def test_a_token_with_more_rights_than_its_owner_is_refused(platform, role):
    with pytest.raises(UserError, match="cannot have"):
        make_token(platform, role=role)
