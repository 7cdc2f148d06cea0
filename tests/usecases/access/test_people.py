"""People are added, changed, disabled and removed, and set passwords by links that work once."""

import pytest

from alerting.adapters.memory.platform import memory_platform
from alerting.adapters.passwords import Argon2Passwords
from alerting.definitions.faults import NotFound, UserError
from alerting.episodes.episode import PLATFORM
from alerting.operators.people import LINK_LASTS, is_reserved
from alerting.ports import AuditFilter
from alerting.usecases.access import people
from alerting.usecases.access.directory import admit_from_directory
from alerting.usecases.access.sign_in import (
    begin_session,
    check_password,
    find_session,
    find_session_account,
)
from alerting.usecases.access.tokens import create_token, find_token_user, revoke_token
from alerting.usecases.definitions.edits import EDITOR
from tests.builders import at

PASSWORD = "correct horse battery"
QUICK = Argon2Passwords(passes=1, memory_kib=8)


@pytest.fixture
def platform():
    return memory_platform()


def with_password(platform, name="anna", role="operator", minute=0):
    _, code = people.add_person(platform, name, role, "ada", at(minute))
    people.set_password(platform, QUICK, code, PASSWORD, at(minute))
    return code


def actions(platform):
    return [entry.what for entry in reversed(platform.audit.find(AuditFilter(), 100))]


def is_signed_in(platform, cookie, minute):
    session = find_session(platform, cookie, at(minute))
    return session is not None and find_session_account(platform, session) is not None


def test_a_person_signs_in_with_the_password_set_by_a_link_that_works_once(platform):
    code = with_password(platform)
    assert check_password(platform, QUICK, "anna", PASSWORD).role == "operator"
    assert check_password(platform, QUICK, "anna", PASSWORD + "x") is None
    assert check_password(platform, QUICK, "nobody", PASSWORD) is None
    with pytest.raises(UserError, match="no longer valid"):
        people.set_password(platform, QUICK, code, "another long password", at(1))


@pytest.mark.parametrize("shown", ["MongoDB", "ADMIN", "platform "])
@pytest.mark.parametrize("name", [EDITOR, "directory", PLATFORM, "demo", "admin"])
def test_nobody_is_called_as_the_platform_acts(platform, name, shown):
    assert is_reserved(name)
    with pytest.raises(UserError, match="platform itself acts"):
        people.add_person(platform, name.lower(), "viewer", "ada", at(0), kind="device")
    with pytest.raises(UserError, match="platform itself acts"):
        people.add_person(platform, "anna", "viewer", "ada", at(0), display_name=shown)
    people.add_person(platform, "anna", "viewer", "ada", at(0))
    with pytest.raises(UserError, match="platform itself acts"):
        people.change_person(platform, "anna", "ada", at(1), display_name=shown)
    with pytest.raises(UserError, match="platform itself acts"):
        admit_from_directory(platform, name, ["crew"], {"crew": "viewer"}, at(2), create=True)


def test_a_link_ends_after_three_days_and_with_the_next_one(platform):
    _, first = people.add_person(platform, "anna", "viewer", "ada", at(0))
    assert people.find_link(platform, first, at(0) + LINK_LASTS) is None
    second = people.make_link(platform, "anna", "ada", at(1))
    assert people.find_link(platform, first, at(2)) is None
    assert people.find_link(platform, second, at(2)).id == "anna"


def test_a_weak_password_leaves_the_link_as_it_is(platform):
    _, code = people.add_person(platform, "anna", "viewer", "ada", at(0))
    with pytest.raises(UserError, match="12 to 200"):
        people.set_password(platform, QUICK, code, "short", at(1))
    assert people.find_link(platform, code, at(1)) is not None


def test_disabling_ends_sessions_and_tokens_at_once_and_enabling_only_brings_back_tokens(platform):
    with_password(platform)
    cookie = begin_session(platform, "anna", at(1), "10.0.0.7")
    token, _ = create_token(platform, "gateway", "anna", "viewer", at(9_000), "ada", at(1))
    assert is_signed_in(platform, cookie, 2)
    assert find_token_user(platform, token.id, at(2)).name == "anna"
    people.disable_account(platform, "anna", "ada", at(3))
    assert not is_signed_in(platform, cookie, 3)
    assert find_token_user(platform, token.id, at(3)) is None
    assert check_password(platform, QUICK, "anna", PASSWORD) is None
    people.enable_account(platform, "anna", "ada", at(4))
    assert not is_signed_in(platform, cookie, 4)
    assert find_token_user(platform, token.id, at(4)) is not None


def test_a_new_password_ends_the_sessions_of_before(platform):
    with_password(platform)
    cookie = begin_session(platform, "anna", at(1), "10.0.0.7")
    with pytest.raises(UserError, match="wrong"):
        people.change_password(platform, QUICK, "anna", "not it at all", "another long one", at(2))
    assert is_signed_in(platform, cookie, 2)
    people.change_password(platform, QUICK, "anna", PASSWORD, "another long one", at(2))
    assert not is_signed_in(platform, cookie, 2)


def test_a_removed_person_leaves_the_audit_and_nothing_else(platform):
    with_password(platform)
    create_token(platform, "gateway", "anna", "viewer", at(9_000), "ada", at(1))
    cookie = begin_session(platform, "anna", at(1), "10.0.0.7")
    people.remove_person(platform, "anna", "ada", at(2))
    assert (platform.accounts.all(), platform.access_tokens.all()) == ([], [])
    assert not is_signed_in(platform, cookie, 2)
    assert actions(platform) == ["person added", "password set", "token made", "person removed"]


def test_a_role_that_shrinks_shrinks_the_tokens_too(platform):
    with_password(platform, role="engineer")
    token, _ = create_token(platform, "gateway", "anna", "engineer", at(9_000), "ada", at(1))
    sends, _ = create_token(platform, "rows", "anna", "sender", at(9_000), "ada", at(1))
    people.change_person(platform, "anna", "ada", at(2), role="viewer")
    assert find_token_user(platform, token.id, at(3)).role == "viewer"
    assert find_token_user(platform, sends.id, at(3)).role == "viewer"


def test_nobody_takes_their_own_rights_by_mistake(platform):
    with_password(platform, "ada", "admin")
    for act in (people.disable_account, people.remove_person):
        with pytest.raises(UserError, match="your own account"):
            act(platform, "ada", "ada", at(1))
    with pytest.raises(UserError, match="your own account"):
        people.change_person(platform, "ada", "ada", at(1), role="viewer")


def test_refusals_name_what_is_wrong(platform):
    people.add_person(platform, "anna", "viewer", "ada", at(0))
    with pytest.raises(UserError, match="is taken"):
        people.add_person(platform, "anna", "viewer", "ada", at(0))
    with pytest.raises(UserError, match="for programs"):
        people.add_person(platform, "gateway", "sender", "ada", at(0))
    with pytest.raises(NotFound, match="anna"):
        people.make_link(platform, "ana", "ada", at(0))


def test_the_audit_of_people_holds_before_and_after_but_no_secret(platform):
    with_password(platform)
    people.change_person(platform, "anna", "ada", at(3), role="engineer")
    changed = platform.audit.find(AuditFilter(what="person changed"), 1)[0]
    assert (changed.before["role"], changed.after["role"]) == ("operator", "engineer")
    whole = str(platform.audit.entries)
    account = platform.accounts.get("anna")
    assert "argon2" not in whole
    assert account.password not in whole


def test_names_of_the_tokens_file_become_services_that_can_be_disabled(platform):
    people.register_services(platform, {"operator": "operator", "gateway-3": "sender"}, at(0))
    people.register_services(platform, {"operator": "viewer"}, at(1))
    assert [(a.id, a.kind, a.role) for a in platform.accounts.all()] == [
        ("gateway-3", "service", "sender"),
        ("operator", "service", "viewer"),
    ]
    with pytest.raises(UserError, match="tokens file"):
        people.remove_person(platform, "operator", "ada", at(2))
    assert people.disable_account(platform, "operator", "ada", at(2)).disabled_at == at(2)


# Tokens


def test_a_token_ends_at_its_time_and_when_it_is_revoked(platform):
    with_password(platform)
    token, secret = create_token(platform, "gateway", "anna", "viewer", at(60), "ada", at(0))
    assert secret not in str(platform.access_tokens.all())
    assert find_token_user(platform, token.id, at(59)) is not None
    assert find_token_user(platform, token.id, at(60)) is None
    revoke_token(platform, token.key, "ada", at(30))
    assert find_token_user(platform, token.id, at(30)) is None
    with pytest.raises(NotFound):
        revoke_token(platform, token.key, "ada", at(30))


@pytest.mark.parametrize("role", ["engineer", "admin", "sender"])
def test_a_token_with_more_rights_than_its_owner_is_refused(platform, role):
    with_password(platform, role="operator")
    with pytest.raises(UserError, match="cannot have"):
        create_token(platform, "gateway", "anna", role, at(60), "ada", at(0))
