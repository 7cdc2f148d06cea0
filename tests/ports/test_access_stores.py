"""Accounts, tokens, sessions and the audit: in memory and on a real server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alerting.operators.people import AccessToken, Account, Session
from alerting.ports import AUDIT_ORIGIN, AuditFilter, WrongCount
from alerting.usecases.access.people import change_person, enable_account, find_link
from alerting.usecases.access.tokens import find_token_user
from tests.builders import at
from tests.in_memory_platform import in_memory_platform

ANNA = Account("anna", "operator", at(0), "ada", at(0))


def token(n, owner="anna"):
    return AccessToken(f"{n}" * 64, f"token {n}", owner, "sender", at(n), "ada", at(9_000))


def session(n, account="anna", ends=600):
    return Session(f"{n}" * 64, account, at(n), at(ends + 60_000_000), None, "10.0.0.7")


def test_an_account_is_stored_once_and_replaced_only_by_its_next_version(stores):
    assert (stores.accounts.insert(ANNA), stores.accounts.insert(ANNA)) == (True, False)
    second = ANNA.next_version(
        role="viewer",
        link="code",
        pin="hash",
        wrong_pins_until=at(60),
        identity="https://a.example s-1",
    )
    assert (stores.accounts.replace(second), stores.accounts.replace(second)) == (True, False)
    assert stores.accounts.get("anna") == second
    assert stores.accounts.find_by_link("code") == second
    assert stores.accounts.find_by_link("other") is None
    stores.accounts.insert(replace(ANNA, id="ada"))
    assert [account.id for account in stores.accounts.all()] == ["ada", "anna"]
    assert (stores.accounts.remove("anna"), stores.accounts.remove("anna")) == (True, False)
    assert stores.accounts.get("anna") is None


def test_an_account_that_was_limited_to_assets_stands_still_until_it_is_enabled(
    real,
):
    stores = real
    platform = replace(
        in_memory_platform(),
        accounts=stores.accounts,
        access_tokens=stores.access_tokens,
        audit=stores.audit,
    )
    stores.accounts.insert(replace(ANNA, link="code"))
    stores.access_tokens.insert(token(1))
    for name in ("accounts", "access_tokens"):
        stores.database[name].update_many({}, {"$set": {"scope": ["line-1"]}})
    for found in (
        stores.accounts.get("anna"),
        stores.accounts.find_by_link("code"),
        *stores.accounts.all(),
    ):
        assert found.disabled_at is not None
    assert find_link(platform, "code", at(1)) is None
    (limited,) = stores.access_tokens.all()
    assert limited == stores.access_tokens.get(limited.id)
    assert limited.ends_at == limited.made_at
    assert find_token_user(platform, limited.id, at(1)) is None
    change_person(platform, "anna", "ada", at(1), "viewer")  # another change gives nothing back
    assert stores.accounts.get("anna").disabled_at is not None
    enable_account(platform, "anna", "ada", at(2))
    assert stores.accounts.get("anna").disabled_at is None
    assert find_token_user(platform, limited.id, at(3)) is None


def test_tokens_are_found_by_hash_and_owner_and_are_gone_when_removed(stores):
    assert [stores.access_tokens.insert(t) for t in (token(2), token(1), token(2))] == [
        True,
        True,
        False,
    ]
    stores.access_tokens.insert(token(3, "bob"))
    assert [t.name for t in stores.access_tokens.all("anna")] == ["token 1", "token 2"]
    assert len(stores.access_tokens.all()) == 3
    stores.access_tokens.record_use(token(1).id, at(7))
    assert stores.access_tokens.get(token(1).id) == replace(token(1), used_at=at(7))
    removed = [stores.access_tokens.remove(token(1).id) for _ in range(2)]
    assert removed == [True, False]
    assert stores.access_tokens.get(token(1).id) is None


def test_sessions_are_listed_newest_first_until_they_end(stores):
    for one in (session(1), session(2), session(3, "bob")):
        stores.sessions.add(one)
    assert [s.id[0] for s in stores.sessions.all(at(5), "anna")] == ["2", "1"]
    assert [s.id[0] for s in stores.sessions.all(at(5))] == ["3", "2", "1"]
    assert stores.sessions.all(at(61_000_000)) == []
    assert stores.sessions.get(session(1).id) == session(1)
    assert (stores.sessions.end(session(1).id), stores.sessions.end(session(1).id)) == (
        True,
        False,
    )
    assert stores.sessions.get(session(1).id) is None


def test_wrong_attempts_count_one_after_another_and_from_the_first_after_a_pause(stores):
    now = datetime.now(UTC).replace(microsecond=0)  # the database deletes counts of an hour ago
    times = [now + timedelta(minutes=n) for n in (0, 1, 10, 40, 41)]
    pause = timedelta(minutes=15)
    counted = [stores.sessions.add_wrong("a", one, one - pause) for one in times]
    assert counted == [1, 2, 3, 1, 2]
    assert stores.sessions.add_wrong("b", times[-1], times[-1] - pause) == 1
    assert stores.sessions.count_wrong("a") == WrongCount(2, times[-1])
    assert stores.sessions.count_wrong("c") is None
    stores.sessions.take_back_wrong("a", times[-1], times[-2])
    assert stores.sessions.count_wrong("a") == WrongCount(1, times[-2])
    stores.sessions.take_back_wrong("a", times[-1], times[0])
    stores.sessions.take_back_wrong("a", times[-1], None)
    assert stores.sessions.count_wrong("a") == WrongCount(0, times[-2])
    stores.sessions.take_back_wrong("c", times[-1], None)
    assert stores.sessions.count_wrong("c") is None


@pytest.fixture
def audited(stores):
    origin = AUDIT_ORIGIN.set("console 10.0.0.7")
    for n in range(5):
        stores.audit.add("anna" if n % 2 else "bob", "acknowledge", f"e{n}", at(n), {"a": n}, None)
    AUDIT_ORIGIN.reset(origin)
    stores.audit.add("platform", "promoted", "too-moist", at(9), why="better")
    return stores.audit


def found(audit, wanted, limit=10, older_than=None):
    return [entry.subject for entry in audit.find(wanted, limit, older_than)]


def test_the_audit_is_found_by_person_thing_action_and_time_newest_first(audited):
    assert found(audited, AuditFilter()) == ["too-moist", "e4", "e3", "e2", "e1", "e0"]
    assert found(audited, AuditFilter(actor="anna")) == ["e3", "e1"]
    assert found(audited, AuditFilter(subject="e2")) == ["e2"]
    assert found(audited, AuditFilter(what="promoted")) == ["too-moist"]
    assert found(audited, AuditFilter(start=at(1), end=at(3))) == ["e2", "e1"]
    assert found(audited, AuditFilter(actor="anna", end=at(3))) == ["e1"]


def test_the_audit_is_read_page_by_page_without_gap_or_repetition(audited):
    pages = []
    older_than = None
    while page := audited.find(AuditFilter(), 2, older_than):
        pages += [entry.subject for entry in page]
        older_than = (page[-1].at, page[-1].id)
    assert pages == ["too-moist", "e4", "e3", "e2", "e1", "e0"]


def test_an_entry_says_from_where_and_what_changed_and_a_repeated_one_stays_as_it_was(audited):
    newest = audited.find(AuditFilter(), 1)[0]
    first = audited.find(AuditFilter(subject="e0"), 1)[0]
    assert (newest.origin, newest.why) == ("platform", "better")
    assert (first.origin, first.before, first.after) == ("console 10.0.0.7", {"a": 0}, None)
    audited.add("bob", "acknowledge", "e0", at(0), {"a": 0}, None)
    assert [e.origin for e in audited.find(AuditFilter(subject="e0"), 5)] == ["console 10.0.0.7"]
