"""Feedback links: nobody makes one but us, and each is for one answer of one recipient to one
episode, for a time."""

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer, URLSafeSerializer

from alerting.adapters.passwords_and_links import SignedLinks
from alerting.definitions.faults import UserError
from alerting.definitions.revisions import next_revision
from alerting.notifications import notification
from alerting.notifications.notification import (
    LONGEST_TOKEN,
    Grant,
    LinkRefused,
    Purpose,
    seal,
    unseal,
)
from alerting.settings.home_folder import load_or_create_key
from alerting.usecases.operators.links_and_misses import use_link
from tests.builders import at, threshold
from tests.helpers.episodes import episode
from tests.in_memory_platform import Mailbox, in_memory_platform

KEY = b"k" * 40
GRANT = Grant("e1", "anna", "acted", at(0), at(60))


OURS = "not a link of this platform"
TOKEN = seal(GRANT, KEY)
_, CONTENT = URLSafeSerializer("").loads_unsafe(TOKEN)
CHANGES = [
    {"episode": "e2"},
    {"recipient": "otto"},
    {"purpose": "true_alarm"},
    {"expires_at": at(10_000)},
]
REFUSED = [
    *((TOKEN, KEY, minute, "expired") for minute in (60, 61, 10_000)),
    (TOKEN, b"x" * 40, 1, OURS),
    # what the key signed for another purpose
    (URLSafeSerializer(KEY, "another purpose").dumps(CONTENT), KEY, 1, OURS),
    # what is too long, or cannot be encoded
    ("x" * LONGEST_TOKEN + TOKEN, KEY, 1, OURS),
    ("\udcff" + TOKEN, KEY, 1, OURS),
    # nothing of a link can be changed
    *(
        (
            f"{seal(replace(GRANT, **change), b'x' * 40).split('.')[0]}.{TOKEN.split('.')[1]}",
            KEY,
            1,
            OURS,
        )
        for change in CHANGES
    ),
]


def test_what_expired_or_was_not_made_by_us_for_this_is_refused():
    for token, key, minute, words in REFUSED:
        with pytest.raises(LinkRefused, match=words):
            unseal(token, key, at(minute))
    assert unseal(TOKEN, KEY, at(59)) == GRANT


@given(st.text(max_size=80))
def test_whatever_is_no_link_is_refused_and_breaks_nothing(text):
    with pytest.raises(LinkRefused):
        unseal(text, KEY, at(1))


def test_no_secret_stands_in_a_link():
    assert CONTENT[:3] == ["e1", "anna", "acted"]
    assert len(CONTENT) == 5


FIELDS = ["e1", "anna", "acted", 0, 4_000_000_000_000]
UNKNOWN_FORMS = [
    *([*FIELDS[:2], purpose, *FIELDS[3:]] for purpose in ("unmute", "", None, 7, ["acted"])),
    *(FIELDS[:n] for n in range(5)),
    [*FIELDS, "more"],
    [["e1"], *FIELDS[1:]],
    ["e1", {"name": "anna"}, *FIELDS[2:]],
    [*FIELDS[:3], "now", FIELDS[4]],
    [*FIELDS[:3], 0, 10**30],
    [*FIELDS[:3], None, None],
    {"episode": "e1"},
    "acted",
    None,
    7,
]


def test_what_the_key_sealed_in_a_form_that_is_not_known_is_refused():
    for fields in UNKNOWN_FORMS:
        with pytest.raises(LinkRefused, match=OURS):
            unseal(notification._serializer(KEY).dumps(fields), KEY, at(1))
    assert unseal(notification._serializer(KEY).dumps(FIELDS), KEY, at(1)).purpose == "acted"


def test_a_long_token_is_refused_before_its_signature_is_computed(monkeypatch):
    monkeypatch.setattr(Signer, "verify_signature", lambda *_: pytest.fail("computed"))
    with pytest.raises(LinkRefused):
        unseal("x" * LONGEST_TOKEN + TOKEN, KEY, at(1))


# --- with a platform
# --------------------------------------------------------------------------------------------------


def test_each_link_gives_its_one_answer_once_and_people_may_differ():
    platform = in_memory_platform(Mailbox("anna"))
    platform.clock.instant = at(10)
    one = replace(episode(1), valid_until=None, outcome_due_at=None)
    platform.episodes.insert(one)
    definition = threshold(name=one.definition)
    platform.definitions.add_revision(next_revision(definition, None, "engineer", at(0), "test"))
    signed = SignedLinks(KEY, "https://x.example", timedelta(hours=1), platform.clock.now)
    for recipient, purpose in (
        ("anna", "true_alarm"),
        ("anna", "acted"),
        ("otto", "false_alarm"),
        ("anna", "true_alarm"),
    ):
        link = signed.answer_links(one.id, recipient)[get_args(Purpose).index(purpose)]
        use_link(replace(platform, links=signed), link.url.rpartition("/")[2], at(11))
    feedback = platform.episodes.get(one.id).feedback
    assert [(f.actor, f.verdict, f.acted) for f in feedback] == [
        ("anna (by link)", "true_alarm", False),
        ("anna (by link)", None, True),
        ("otto (by link)", "false_alarm", False),
    ]


# --- the key
# --------------------------------------------------------------------------------------------------


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path):
    path = tmp_path / "secrets" / "feedback_link_key"
    key = load_or_create_key(path)
    assert (load_or_create_key(path), path.stat().st_mode & 0o777, len(key) >= 32) == (
        key,
        0o600,
        True,
    )
    assert list(path.parent.iterdir()) == [path]


def test_a_key_that_others_may_read_or_that_is_short_is_refused(tmp_path):
    path = tmp_path / "key"
    load_or_create_key(path)
    path.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        load_or_create_key(path)
    path.write_text("short")
    path.chmod(0o600)
    with pytest.raises(UserError, match="too short"):
        load_or_create_key(path)
