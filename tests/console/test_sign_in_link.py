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


class Wall:
    instant = NOW

    def __call__(self):
        return self.instant


@pytest.fixture
def wall():
    return Wall()


@pytest.fixture
def open_browser(tmp_path, wall):
    app = create_app(in_memory_platform(), TOKENS, now=wall, sign_in=tmp_path)

    def opened(base=HERE, client="127.0.0.1"):
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
    assert 'action="/logout"' in first.get("/").text
    refused = second.get(link)
    assert (refused.status_code, "set-cookie" in refused.headers) == (410, False)
    assert "/login" in refused.text
    assert second.get("/").status_code == 303


def test_the_link_signs_no_one_in_where_only_a_program_has_a_token(tmp_path, link):
    app = create_app(
        in_memory_platform(),
        {"sender-token-0123456789": ("gateway", "sender")},
        now=Wall(),
        sign_in=tmp_path,
    )
    answer = TestClient(
        app, base_url=HERE, client=("127.0.0.1", 50000), follow_redirects=False
    ).get(link)
    assert (answer.status_code, "set-cookie" in answer.headers) == (410, False)


def test_the_cookie_is_out_of_reach_for_scripts_and_other_sites(open_browser, link):
    cookie = open_browser().get(link).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_the_link_expires(open_browser, link, wall):
    wall.instant = NOW + VALID
    assert open_browser().get(link).status_code == 410


def test_a_new_link_makes_the_one_before_worthless(open_browser, link, tmp_path):
    newer = make_link(tmp_path, HERE, NOW + timedelta(minutes=1))
    assert open_browser().get(link).status_code == 410
    assert open_browser().get(newer).status_code == 200


@pytest.mark.parametrize(
    ("base", "client", "headers"),
    [
        (HERE, "192.0.2.7", {}),
        ("http://plant.example", "127.0.0.1", {}),
        ("http://127.0.0.1.example:8000", "127.0.0.1", {}),
        (HERE, "127.0.0.1", {"x-forwarded-for": "192.0.2.7"}),
        (HERE, "127.0.0.1", {"forwarded": "for=192.0.2.7"}),
    ],
)
def test_from_elsewhere_it_lets_nobody_in_and_is_not_used_up(
    open_browser, link, base, client, headers
):
    path = link.removeprefix(HERE)
    assert open_browser(base, client).get(path, headers=headers).status_code == 410
    assert open_browser().get(link).status_code == 200


def test_a_browser_that_looks_ahead_does_not_use_it_up(open_browser, link):
    assert (
        open_browser().get(link, headers={"sec-purpose": "prefetch;prerender"}).status_code == 503
    )
    assert open_browser().get(link).status_code == 200


@pytest.mark.parametrize("code", ["", "wrong", "a" * 5000, "..%2f..%2fapi_tokens.json", "%ff"])
def test_a_wrong_code_lets_nobody_in(open_browser, link, code):
    assert open_browser().get(f"/sign-in/{code}").status_code in (303, 404, 410)
    assert open_browser().get(link).status_code == 200


def test_of_many_at_once_one_is_let_in(tmp_path, link):
    code = link.rpartition("/")[2]
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda _: take_link(tmp_path, code, NOW), range(64))) == 1


def test_the_code_stands_in_no_file(tmp_path, link):
    code = link.rpartition("/")[2]
    files = list(tmp_path.iterdir())
    assert all(code not in file.read_text() for file in files)
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    assert files
