"""Sign-in by headers of a trusted proxy: what it may say, and nobody else."""

import json
import socket
import threading
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from alerting.console.login import open_directory
from alerting.definitions.faults import DocumentRefused, UserError
from alerting.ports import AuditFilter
from alerting.usecases.access import accounts
from tests.helpers.console.pages import csrf_of, lacks, send_form
from tests.helpers.console.people import app_of, browser_of, person_on, sign_in
from tests.helpers.console.server import serving_thread

SECRET = "0123456789abcdef0123"
PROXY = "10.0.0.5"
GROUPS = {"line-1": "operator", "engineers": "engineer", "it": "admin"}


def directory_file(folder, mode=0o600, secret=SECRET, **changes):
    kept = folder / "secret"
    kept.write_text(f"{secret}\n")
    kept.chmod(mode)
    file = folder / "directory.yaml"
    document = {"proxies": [PROXY], "secret_file": str(kept), "groups": GROUPS, "create": True}
    file.write_text(json.dumps(document | changes))
    return file


@pytest.fixture
def app_by(platform, wall, tmp_path):
    """Return a function that makes the application with a document of the directory."""

    def make(**changes):
        return app_of(platform, wall, directory=open_directory(directory_file(tmp_path, **changes)))

    return make


@pytest.fixture
def app(app_by):
    return app_by()


def proxied(app, user="Anna.Berg@plant.example", groups="line-1, guests", peer=PROXY, more=()):
    """Return a browser whose requests come through the proxy."""
    headers = [
        ("x-alerting-proxy-secret", SECRET),
        ("x-forwarded-user", user),
        ("x-forwarded-groups", groups),
    ]
    browser = browser_of(app)
    browser.headers = type(browser.headers)([*headers, *more])
    browser.app_state["peer"] = peer
    return browser


def signed_in(app, **given):
    browser = proxied(app, **given)
    assert 'content="0; url=/reports"' in browser.get("/reports").text
    return browser


def refusals(platform):
    return [one.why for one in platform.audit.find(AuditFilter(what="sign-in refused"), 9)]


def test_a_person_comes_in_with_the_role_of_their_groups_and_a_cookie_for_forms(app, platform):
    browser = proxied(app)
    answer = browser.get("/reports?of=x")
    assert 'content="0; url=/reports?of=x"' in answer.text
    cookie = answer.headers["set-cookie"].lower()
    assert lacks(cookie, "httponly", "secure", "samesite=strict") == []
    account = platform.accounts.get("anna.berg")
    assert (account.role, account.identity) == ("operator", "Anna.Berg@plant.example")
    assert csrf_of(browser.get("/account"))
    signed = platform.audit.find(AuditFilter(actor="anna.berg", what="signed in"), 1)[0]
    assert signed.why == "by the directory"


def test_a_directory_that_changes_the_case_of_a_name_locks_nobody_out(app, platform):
    for user in ("Anna.Berg@plant.example", "anna.berg@plant.example", "ANNA.BERG@PLANT.EXAMPLE"):
        signed_in(app, user=user)
    changed = platform.audit.find(AuditFilter(what="person changed"), 9)
    assert (platform.accounts.get("anna.berg").identity, changed) == ("Anna.Berg@plant.example", [])


def test_a_session_of_the_directory_ends_at_a_console_without_the_directory(app, platform, wall):
    browser = signed_in(app)
    cookies = dict(browser.cookies)
    alone = browser_of(app_of(platform, wall))
    alone.cookies.update(cookies)
    assert alone.get("/reports").status_code == 303


def test_the_highest_role_counts_and_a_change_of_groups_with_the_next_request(app, platform):
    browser = signed_in(app)
    statuses = [browser.get("/access").status_code]
    browser.headers["x-forwarded-groups"] = "line-1,it,engineers"
    statuses += [browser.get("/access").status_code for _ in range(2)]
    assert statuses == [403, 403, 200]  # the first with the new role is of the session of before
    changed = platform.audit.find(AuditFilter(what="person changed"), 1)[0]
    assert (changed.actor, changed.after["role"]) == ("directory", "admin")
    browser.headers["x-forwarded-groups"] = "canteen"
    assert browser.get("/").status_code == 403
    assert platform.sessions.all(changed.at, "anna.berg") == []
    assert refusals(platform) == ["you are in no group that may use this platform"]


REFUSED = [
    ({"peer": "10.0.0.6"}, 303),
    ({"peer": None}, 303),
    ({"more": [("x-alerting-proxy-secret", SECRET)]}, 403),
    ({"more": [("x-forwarded-user", "boss")]}, 403),
    ({"more": [("x-forwarded-groups", "it")]}, 403),
    ({"user": ""}, 303),
    ({"user": "admin"}, 403),  # by whom the platform acts
    ({"user": "../etc"}, 403),
    ({"groups": ""}, 403),
    ({"groups": "IT"}, 403),
]


def test_only_the_proxy_is_believed_and_only_what_it_says_once(app, platform):
    answers = [proxied(app, **given).get("/reports") for given, _ in REFUSED]
    found = [(given, answers[n].status_code) for n, (given, _) in enumerate(REFUSED)]
    assert found == REFUSED
    assert [answer for answer in answers if "set-cookie" in answer.headers] == []
    assert platform.accounts.all() == []
    assert "set-cookie" in proxied(app, peer="::ffff:10.0.0.5").get("/reports").headers


def test_without_its_secret_the_proxy_is_refused(app, platform):
    for secret in ({}, {"x-alerting-proxy-secret": ""}, {"x-alerting-proxy-secret": SECRET + "4"}):
        browser = proxied(app)
        del browser.headers["x-alerting-proxy-secret"]
        assert browser.get("/", headers=secret).status_code == 403
    assert {*refusals(platform)} == {"the proxy did not send the right secret"}


def test_an_empty_list_admits_no_one_and_without_the_setting_no_header_counts(
    platform, wall, app_by
):
    for app in (app_by(proxies=[]), app_of(platform, wall)):
        assert proxied(app).get("/").status_code == 303


def test_a_session_of_the_directory_counts_behind_the_proxy_alone_and_for_its_person(app):
    browser = signed_in(app)
    browser.app_state["peer"] = "10.0.0.6"
    assert browser.get("/").status_code == 303
    browser.app_state["peer"] = PROXY
    browser.headers["x-forwarded-user"] = "bo"
    assert "sign" in browser.get("/").text.lower()
    assert ">bo<" in browser.get("/").text


def test_nobody_is_created_unless_that_is_asked_for(platform, wall, app_by):
    app = app_by(create=False)
    assert proxied(app).get("/").status_code == 403
    assert platform.accounts.all() == []
    accounts.add_person(platform, "anna.berg", "viewer", "ada", wall())
    assert signed_in(app).get("/").status_code == 200
    account = platform.accounts.get("anna.berg")
    assert (account.role, account.link) == ("operator", None)


def test_no_user_takes_over_an_account_of_somebody_else(app, platform, wall):
    person_on(platform, wall(), "anna.berg", "admin")
    with_pin = replace(platform.accounts.get("anna.berg"), password=None, pin="hash", version=9)
    platform.accounts.insert(replace(with_pin, id="carl"))
    assert proxied(app, user="carl").get("/").status_code == 403
    signed_in(app, user="bo@one.example")
    statuses = [
        proxied(app, groups="it").get("/").status_code,
        proxied(app, user="bo@two.example").get("/").status_code,
    ]
    assert (statuses, platform.accounts.get("anna.berg").identity) == ([403, 403], None)
    accounts.disable_account(platform, "bo", "ada", wall())
    assert proxied(app, user="bo@one.example").get("/").status_code == 403


def test_beside_a_directory_only_an_administrator_has_a_password(app, platform, wall):
    person_on(platform, wall(), "otto", "operator")
    person_on(platform, wall(), "adam", "admin")
    assert sign_in(browser_of(app), "otto").status_code == 403
    assert sign_in(browser_of(app), "adam").status_code == 303
    signed = platform.audit.find(AuditFilter(actor="adam", what="signed in"), 1)[0]
    assert signed.why == "with a password, beside the directory"
    signed_in(app)
    of_anna = (platform, "anna.berg", "ada", wall())
    for change, more in ((accounts.make_link, ()), (accounts.change_person, ("admin",))):
        with pytest.raises(UserError, match="its groups give the role"):
            change(*of_anna, *more)


def test_a_form_needs_the_mark_of_its_session_and_a_log_out_leads_to_the_proxy(app_by):
    browser = signed_in(app_by(log_out="/oauth2/sign_out"))
    assert browser.post("/logout").status_code == 403
    assert send_form(browser, "/logout").headers["location"] == "/oauth2/sign_out"


def test_a_faulty_document_is_refused_with_its_place(tmp_path):
    for changes, says in (
        ({"groups": {}}, "groups"),
        ({"groups": {"a": "boss"}}, "groups"),
        ({"proxies": ["plant"]}, "proxies"),
        ({"log_out": "//evil.example"}, "log_out"),
        ({"issuer": "https://a.example"}, "issuer"),
        ({"user_header": "X User"}, "user_header"),
        ({"mode": 0o644}, "secret_file"),
        ({"secret": "short"}, "16 characters"),
        ({"proxies": ["0.0.0.0/0"]}, "proxies.*admits almost every address"),
        ({"proxies": ["10.0.0.5", "::/0"]}, "proxies.*admits almost every address"),
        ({"groups": {"": "admin"}}, "groups.*no header can name the group ''"),
        ({"groups": {"x,plant-it": "admin"}}, "groups.*no header can name the group 'x,plant-it'"),
        ({"groups": {" it": "admin"}}, "groups.*no header can name the group"),
        ({"groups_header": "X-Forwarded-User"}, "three different headers"),
        ({"user_header": "x-alerting-proxy-SECRET"}, "three different headers"),
    ):
        with pytest.raises((DocumentRefused, UserError), match=says):
            open_directory(directory_file(tmp_path, **changes))


# A proxy and a server, with their sockets


@contextmanager
def small_proxy(target):
    """Serve a proxy that names one user, whatever a client sends; return its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            own = {"x-forwarded-user": "anna", "x-forwarded-groups": "line-1"}
            sent = {name.lower(): value for name, value in self.headers.items()}
            sent |= {**own, "x-alerting-proxy-secret": SECRET, "x-forwarded-for": "192.0.2.7"}
            answer = httpx.get(f"{target}{self.path}", headers=sent, trust_env=False)
            self.send_response(answer.status_code)
            for name, value in answer.headers.multi_items():
                if name in ("set-cookie", "location"):
                    self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b" \n"])
def test_a_line_feed_within_a_header_of_a_browser_makes_no_header_of_its_own(app_by, end):
    head = (
        b"GET /reports HTTP/1.1\r\nHost: x\r\nX-Alerting-Proxy-Secret: %s\r\n"
        b"X-Forwarded-User: anna\r\nX-Theme: dark%sX-Forwarded-Groups: it\r\n\r\n"
    )
    with (
        serving_thread(app_by(proxies=["127.0.0.1"]), ("127.0.0.1",)) as port,
        socket.create_connection(("127.0.0.1", port), timeout=60) as client,
    ):
        client.sendall(head % (SECRET.encode(), end))
        status = client.recv(65_536)[9:12]
    assert status == (b"200" if end == b"\r\n" else b"400")


@pytest.mark.parametrize("proxies", [["127.0.0.1"], ["192.0.2.7"], []], ids=str)
def test_the_other_end_of_the_connection_counts_whatever_a_header_says(platform, app_by, proxies):
    sent = {"x-forwarded-user": "boss", "x-forwarded-groups": "it"}
    with (
        # whose statement of the client is believed
        serving_thread(app_by(proxies=proxies), ("127.0.0.1",)) as port,
        small_proxy(f"http://127.0.0.1:{port}") as through,
    ):
        url = f"http://127.0.0.1:{through}/reports"
        answer = httpx.get(url, headers=sent, trust_env=False)
    found = (answer.status_code, "set-cookie" in answer.headers)
    known = [account.id for account in platform.accounts.all()]
    is_known = proxies == ["127.0.0.1"]
    assert (*found, known) == ((200, True, ["anna"]) if is_known else (303, False, []))
