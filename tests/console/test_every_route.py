"""Every route of the console is in one table by the permission that it needs, and keeps to it for
every sender."""

import re
from itertools import count

import pytest
from fastapi.testclient import TestClient

from alerting.adapters.scored_files import PredictFolder
from alerting.console.app import create_app
from alerting.console.gate import OPEN
from alerting.console.plant.import_jobs import Imports
from alerting.operators.account_rules import PERMISSIONS
from alerting.operators.actions_and_mutes import ROLES
from alerting.usecases.access import accounts
from tests.builders import at
from tests.helpers.console.full_plant import (
    DISABLED,
    FIRST,
    NOW,
    OVER,
    TOKENS_FILE,
    Sender,
    add_sessions,
    in_a_browser,
    names_of,
    plant,
    sender,
)
from tests.helpers.console.route_table import (
    API,
    EXPECTED,
    permission_of,
    routes_of,
)

pytestmark = pytest.mark.usefixtures("streams_end")
STRANGERS = (Sender("", "viewer", {}), OVER, DISABLED)


@pytest.fixture(scope="module")
def platform():
    return plant(FIRST)


@pytest.fixture(scope="module")
def app(platform, tmp_path_factory):
    files = PredictFolder(tmp_path_factory.mktemp("jobs"))
    uploads = Imports(tmp_path_factory.mktemp("imports"))
    return create_app(
        platform, TOKENS_FILE, now=lambda: at(NOW), predict_files=files, import_files=uploads
    )


def test_every_route_declares_the_permission_of_the_table(app):
    declared = {
        f"{method} {route.path}": permission_of(route)
        for route in routes_of(app)
        for method in route.methods
    }
    assert declared == EXPECTED
    undeclared = {line.split()[1] for line, permission in declared.items() if permission is None}
    assert undeclared - {"/f/{token}", "/password/{code}", "/password/{code}/pin"} == OPEN


@pytest.fixture(scope="module")
def ask(app, platform):
    numbers = count()

    def status(who, method, path):
        """Return the status of an answer: 401 also for the way to the page of the login. Each
        request has another address, so that none is slowed for the others."""
        add_sessions(platform)
        number = next(numbers)
        client = TestClient(
            app,
            raise_server_exceptions=False,
            follow_redirects=False,
            base_url="https://plant.example",
            client=(f"10.1.{number // 250}.{number % 250}", 5000),
            headers=who.headers,
        )
        data = None
        if method != "GET" and not path.startswith(API) and "cookie" in who.headers:
            found = re.search(r'name="csrf" value="([0-9a-f]+)"', client.get("/account").text)
            data = {"csrf": found[1]} if found else None
        answer = client.request(method, path, data=data)
        to_login = answer.headers.get("location", "").startswith("/login?")
        return 401 if to_login else answer.status_code

    return status


def path_of(path):
    """Return the path of a route with ids of the line."""
    names = names_of(FIRST)
    first = {
        "/episodes/": names.episodes[0],
        "/mutes/": names.mutes[0],
        "/reports/": names.reports[0],
        "/predict-jobs/": "0" * 12,
        "/routes/": f"{FIRST}-route",
        "/tables/": f"{FIRST}-table",
    }
    for before, id in first.items():
        path = re.sub(rf"(?<={before})\{{[\w:]+\}}", id, path)
    return re.sub(r"\{[^}]+\}", f"{FIRST}-moist", path)


def one_of_each():
    """Return one route of each permission, of the API and of the pages, that reads or changes."""
    found = {}
    for line, permission in EXPECTED.items():
        method, path = line.split()
        if permission and method != "HEAD":
            found.setdefault((permission, method == "GET", path.startswith(API)), line)
    return list(found.values())


def test_a_route_answers_each_sender_as_its_permission_says(ask):
    wrong = {}
    for line in one_of_each():
        method, path = line.split()
        allowed = PERMISSIONS[EXPECTED[line]]
        as_known = (lambda who: who) if path.startswith(API) else in_a_browser
        asking = [(f"stranger {who.name or who.headers}", who, False) for who in STRANGERS]
        asking += [(role, as_known(sender(role)), role in allowed) for role in ROLES]
        for name, who, may in asking:
            status = ask(who, method, path_of(path))
            if (status in (401, 403)) == may or status >= 500:
                wrong[line, name] = status
    assert wrong == {}


def test_an_open_route_asks_for_no_permission(ask):
    accounts = [*STRANGERS, *map(sender, ROLES)]
    found = {}
    for line in [line for line, permission in EXPECTED.items() if not permission]:
        method, path = line.split()
        found[line] = len({ask(who, method, path_of(path)) for who in accounts})
    assert found == dict.fromkeys(found, 1)


def asks_for_a_password(app, path, base):
    """Return whether a page of a signed-in person asks for a password or a PIN."""
    headers = in_a_browser(sender("admin")).headers
    client = TestClient(app, base_url=base, headers=headers, follow_redirects=False)
    fields = re.findall(r"<input[^>]*>", client.get(path).text)
    return any(re.search(r'name="(password|old|again|pin)"', field) for field in fields)


def test_no_page_asks_for_a_password_that_another_machine_could_read(app, platform):
    name = "admin-plant"
    code = accounts.make_link(platform, "viewer-plant", "ada", at(NOW))
    platform.accounts.replace(platform.accounts.get(name).next_version(password="x"))
    add_sessions(platform)
    pages = [path_of(line.split()[1]) for line in EXPECTED if line.startswith("GET /")]
    pages += [f"/password/{code}"]
    asking = [page for page in pages if asks_for_a_password(app, page, "http://127.0.0.1:8000")]
    assert {"/login", f"/password/{code}", "/account"} <= {*asking}
    for base in ("http://10.0.0.5:8000", "http://plant.example"):
        assert [page for page in pages if asks_for_a_password(app, page, base)] == []
