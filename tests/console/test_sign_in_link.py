"""The link that `alerting up` prints: it signs in once, for ten minutes, from this machine
alone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.local.secrets import ROLES
from alerting.local.sign_in import VALID, make_link, take_link
from tests.in_memory_platform import in_memory_platform

NOW = datetime(2026, 1, 6, tzinfo=UTC)
HERE = "http://127.0.0.1:8000"
TOKENS = {f"{role}-token-0123456789": (role, role) for role in ROLES}


@pytest.fixture
def open_browser(tmp_path, wall):
    def opened(base=HERE, client="127.0.0.1", tokens=TOKENS):
        app = create_app(in_memory_platform(), tokens, now=wall, sign_in=tmp_path)
        return TestClient(app, base_url=base, client=(client, 50000), follow_redirects=False)

    return opened


@pytest.fixture
def link(tmp_path):
    return make_link(tmp_path, HERE, NOW)


def test_the_link_signs_in_once(open_browser, link):
    first = open_browser()
    second = open_browser()
    answer = first.get(link)
    assert answer.status_code == 200
    assert 'content="0; url=/"' in answer.text  # the console opens by itself
    cookie = answer.headers["set-cookie"]
    assert ("HttpOnly" in cookie, "SameSite=strict" in cookie) == (True, True)
    assert 'action="/logout"' in first.get("/").text
    refused = second.get(link)
    assert (refused.status_code, "set-cookie" in refused.headers) == (410, False)
    assert "/login" in refused.text
    assert second.get("/").status_code == 303


def test_the_link_signs_no_one_in_where_only_a_program_has_a_token(open_browser, link):
    answer = open_browser(tokens={"sender-token-0123456789": ("gateway", "sender")}).get(link)
    assert (answer.status_code, "set-cookie" in answer.headers) == (410, False)


def test_the_link_expires_and_a_new_one_makes_the_one_before_worthless(
    open_browser, link, tmp_path, wall
):
    newer = make_link(tmp_path, HERE, NOW + timedelta(minutes=1))
    assert open_browser().get(link).status_code == 410
    wall.instant = NOW + timedelta(minutes=1) + VALID
    assert open_browser().get(newer).status_code == 410
    wall.instant -= timedelta(seconds=1)
    assert open_browser().get(newer).status_code == 200


def test_from_elsewhere_or_ahead_or_with_a_wrong_code_it_lets_nobody_in_and_is_not_used_up(
    open_browser, link
):
    path = link.removeprefix(HERE)
    asked = [
        (HERE, "192.0.2.7", path, {}),
        ("http://plant.example", "127.0.0.1", path, {}),
        ("http://127.0.0.1.example:8000", "127.0.0.1", path, {}),
        (HERE, "127.0.0.1", path, {"x-forwarded-for": "192.0.2.7"}),
        (HERE, "127.0.0.1", path, {"forwarded": "for=192.0.2.7"}),
        (HERE, "127.0.0.1", path, {"sec-purpose": "prefetch;prerender"}),
        *(
            (HERE, "127.0.0.1", f"/sign-in/{code}", {})
            for code in ("", "wrong", "a" * 5000, "..%2f..%2fapi_tokens.json", "%ff")
        ),
    ]
    statuses = [
        open_browser(base, at).get(to, headers=more).status_code for base, at, to, more in asked
    ]
    assert statuses[:6] == [410] * 5 + [503]
    assert {*statuses[6:]} <= {303, 404, 410}
    assert open_browser().get(link).status_code == 200


def test_of_many_at_once_one_is_let_in_and_the_code_stands_in_no_file(tmp_path, link):
    code = link.rpartition("/")[2]
    files = [(code in file.read_text(), file.stat().st_mode & 0o077) for file in tmp_path.iterdir()]
    assert {*files} == {(False, 0)}
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda _: take_link(tmp_path, code, NOW), range(64))) == 1
