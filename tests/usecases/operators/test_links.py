"""Feedback links: nobody makes one but us, and each is for one answer of one recipient to one
episode, for a time."""

from dataclasses import replace
from datetime import timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer, URLSafeSerializer

from alerting.adapters.channels.links import SignedLinks
from alerting.definitions.faults import UserError
from alerting.definitions.revisions import next_revision
from alerting.notifications import links
from alerting.notifications.links import LONGEST_TOKEN, Grant, LinkRefused, Purpose, seal, unseal
from alerting.settings.home import load_or_create_key
from alerting.usecases.operators.links import use_link
from tests.builders import at, threshold
from tests.helpers.episodes import episode
from tests.in_memory_platform import Mailbox, in_memory_platform

KEY = b"k" * 40
GRANT = Grant("e1", "anna", "acted", at(0), at(60))


@pytest.mark.parametrize("now", [60, 61, 10_000])
def test_a_link_that_has_expired_is_refused(now):
    with pytest.raises(LinkRefused, match="expired"):
        unseal(seal(GRANT, KEY), KEY, at(now))


def test_another_key_opens_nothing():
    with pytest.raises(LinkRefused, match="not a link of this platform"):
        unseal(seal(GRANT, KEY), b"x" * 40, at(1))


@pytest.mark.parametrize(
    "change",
    [
        {"episode": "e2"},
        {"recipient": "otto"},
        {"purpose": "true_alarm"},
        {"expires_at": at(10_000)},
    ],
)
def test_nothing_of_a_link_can_be_changed(change):
    forged = seal(replace(GRANT, **change), b"x" * 40)
    genuine = seal(GRANT, KEY)
    with pytest.raises(LinkRefused):
        unseal(f"{forged.split('.')[0]}.{genuine.split('.')[1]}", KEY, at(1))


@given(st.text(max_size=80))
def test_whatever_is_no_link_is_refused_and_breaks_nothing(text):
    with pytest.raises(LinkRefused):
        unseal(text, KEY, at(1))


def test_no_secret_stands_in_a_link():
    _, content = URLSafeSerializer("").loads_unsafe(seal(GRANT, KEY))
    assert content[:3] == ["e1", "anna", "acted"]
    assert len(content) == 5


def test_what_the_key_signed_for_another_purpose_is_no_link():
    _, content = URLSafeSerializer("").loads_unsafe(seal(GRANT, KEY))
    with pytest.raises(LinkRefused, match="not a link of this platform"):
        unseal(URLSafeSerializer(KEY, "another purpose").dumps(content), KEY, at(1))


FIELDS = ["e1", "anna", "acted", 0, 4_000_000_000_000]


@pytest.mark.parametrize(
    "fields",
    [
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
    ],
)
def test_what_the_key_sealed_in_a_form_that_is_not_known_is_refused(fields):
    token = links._serializer(KEY).dumps(fields)
    with pytest.raises(LinkRefused, match="not a link of this platform"):
        unseal(token, KEY, at(1))
    assert unseal(links._serializer(KEY).dumps(FIELDS), KEY, at(1)).purpose == "acted"


@pytest.mark.parametrize("spoilt", ["\udcff", "x" * LONGEST_TOKEN])
def test_text_that_cannot_be_encoded_or_is_too_long_is_refused(spoilt):
    with pytest.raises(LinkRefused, match="not a link of this platform"):
        unseal(spoilt + seal(GRANT, KEY), KEY, at(1))


def test_a_long_token_is_refused_before_its_signature_is_computed(monkeypatch):
    monkeypatch.setattr(Signer, "verify_signature", lambda *_: pytest.fail("computed"))
    with pytest.raises(LinkRefused):
        unseal("x" * LONGEST_TOKEN + seal(GRANT, KEY), KEY, at(1))


# --- with a platform
# --------------------------------------------------------------------------------------------------


@pytest.fixture
def platform():
    made = in_memory_platform(Mailbox("anna"))
    made.clock.instant = at(10)
    made.episodes.insert(replace(episode(1), valid_until=None, outcome_due_at=None))
    revise(made)
    return replace(
        made, links=SignedLinks(KEY, "https://x.example", timedelta(hours=1), made.clock.now)
    )


def revise(platform):
    kept = platform.episodes.find()[0]
    definition = threshold(name=kept.definition)
    platform.definitions.add_revision(next_revision(definition, None, "engineer", at(0), "test"))


def token(platform, purpose, recipient="anna"):
    links = platform.links.answer_links(platform.episodes.find()[0].id, recipient)
    return links[get_args(Purpose).index(purpose)].url.rpartition("/")[2]


def feedback(platform):
    return [(f.actor, f.verdict, f.acted) for f in platform.episodes.find()[0].feedback]


def test_each_link_gives_its_one_answer_once_and_people_may_differ(platform):
    for recipient, purpose in (
        ("anna", "true_alarm"),
        ("anna", "acted"),
        ("otto", "false_alarm"),
        ("anna", "true_alarm"),
    ):
        use_link(platform, token(platform, purpose, recipient), at(11))
    assert feedback(platform) == [
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
