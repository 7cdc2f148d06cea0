"""Accounts, tokens, sessions and the audit."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from alerting.operators.account_rules import AccessToken, Account, Session
from alerting.ports import AUDIT_ORIGIN, AuditFilter, WrongCount
from tests.builders import at
from tests.helpers.contracts import each, having, step
from tests.helpers.stores import broken_in_memory


def token(n, owner="anna"):
    return AccessToken(f"{n}" * 64, f"token {n}", owner, "sender", at(n), "ada", at(9_000))


def session(n, account="anna", ends=600):
    return Session(f"{n}" * 64, account, at(n), at(ends + 60_000_000), None, "10.0.0.7")


ANNA = Account("anna", "operator", at(0), "ada", at(0))
SECOND = ANNA.next_version(
    role="viewer",
    link="code",
    pin="hash",
    wrong_pins_until=at(60),
    identity="https://a.example s-1",
)
NOW = datetime.now(UTC).replace(microsecond=0)  # the database deletes counts of an hour ago
TIMES = [NOW + timedelta(minutes=n) for n in (0, 1, 10, 40, 41)]
PAUSE = timedelta(minutes=15)
CLAIMS = {
    "an account is stored once, and replaced only by its next version": [
        step("accounts.insert", ANNA, gives=True),
        step("accounts.insert", ANNA, gives=False),
        step("accounts.replace", SECOND, gives=True),
        step("accounts.replace", SECOND, gives=False),
        step("accounts.get", "anna", gives=SECOND),
        step("accounts.find_by_link", "code", gives=SECOND),
        step("accounts.find_by_link", "other", gives=None),
        step("accounts.insert", replace(ANNA, id="ada")),
        step("accounts.all", gives=each(id=["ada", "anna"])),
        step("accounts.remove", "anna", gives=True),
        step("accounts.remove", "anna", gives=False),
        step("accounts.get", "anna", gives=None),
    ],
    "tokens are found by hash and owner, and are gone when removed": [
        step("access_tokens.insert", token(2), gives=True),
        step("access_tokens.insert", token(1), gives=True),
        step("access_tokens.insert", token(2), gives=False),
        step("access_tokens.insert", token(3, "bob")),
        step("access_tokens.all", "anna", gives=each(name=["token 1", "token 2"])),
        step("access_tokens.all", gives=each(name=["token 1", "token 2", "token 3"])),
        step("access_tokens.record_use", token(1).id, at(7)),
        step("access_tokens.get", token(1).id, gives=replace(token(1), used_at=at(7))),
        step("access_tokens.remove", token(1).id, gives=True),
        step("access_tokens.remove", token(1).id, gives=False),
        step("access_tokens.get", token(1).id, gives=None),
    ],
    "sessions are listed newest first until they end": [
        *(step("sessions.add", one) for one in (session(1), session(2), session(3, "bob"))),
        step("sessions.all", at(5), "anna", gives=[session(2), session(1)]),
        step("sessions.all", at(5), gives=[session(3, "bob"), session(2), session(1)]),
        step("sessions.all", at(61_000_000), gives=[]),
        step("sessions.get", session(1).id, gives=session(1)),
        step("sessions.end", session(1).id, gives=True),
        step("sessions.end", session(1).id, gives=False),
        step("sessions.get", session(1).id, gives=None),
    ],
    "wrong attempts count one after another, and from the first after a pause": [
        *(
            step("sessions.add_wrong", "a", one, one - PAUSE, gives=count)
            for one, count in zip(TIMES, (1, 2, 3, 1, 2), strict=True)
        ),
        step("sessions.add_wrong", "b", TIMES[-1], TIMES[-1] - PAUSE, gives=1),
        step("sessions.count_wrong", "a", gives=WrongCount(2, TIMES[-1])),
        step("sessions.take_back_wrong", "a", TIMES[-1], TIMES[-2]),
        step("sessions.count_wrong", "a", gives=WrongCount(1, TIMES[-2])),
        step("sessions.take_back_wrong", "a", TIMES[-1], TIMES[0]),
        step("sessions.take_back_wrong", "a", TIMES[-1], None),
        step("sessions.count_wrong", "a", gives=WrongCount(0, TIMES[-2])),
        step("sessions.take_back_wrong", "c", TIMES[-1], None),
        step("sessions.count_wrong", "c", gives=None),
    ],
}


def test_the_stores_of_access_keep_every_claim(broken):
    assert broken(CLAIMS) == {}


def test_the_audit_is_found_by_what_is_asked_newest_first_and_page_by_page(stores):
    def found(limit=10, older_than=None, **wanted):
        return stores.audit.find(AuditFilter(**wanted), limit, older_than)

    origin = AUDIT_ORIGIN.set("console 10.0.0.7")
    for n in range(5):
        stores.audit.add("anna" if n % 2 else "bob", "acknowledge", f"e{n}", at(n), {"a": n}, None)
    AUDIT_ORIGIN.reset(origin)
    stores.audit.add("platform", "promoted", "too-moist", at(9), why="better")
    subjects = ["too-moist", "e4", "e3", "e2", "e1", "e0"]
    assert found() == each(subject=subjects)
    assert found(actor="anna") == each(subject=["e3", "e1"])
    assert found(subject="e2") == each(subject=["e2"])
    assert found(what="promoted") == [having(subject="too-moist", origin="platform", why="better")]
    assert found(start=at(1), end=at(3)) == each(subject=["e2", "e1"])
    assert found(actor="anna", end=at(3)) == each(subject=["e1"])
    pages = []
    older_than = None
    while page := found(2, older_than):
        pages += page
        older_than = (page[-1].at, page[-1].id)
    assert pages == each(subject=subjects)
    stores.audit.add("bob", "acknowledge", "e0", at(0), {"a": 0}, None)  # it stays as it was
    first = having(origin="console 10.0.0.7", before={"a": 0}, after=None)
    assert found(5, subject="e0") == [first]


def test_the_stores_in_memory_keep_this_contract():
    assert broken_in_memory(globals()) == {}
