"""Every route of the console says what its sender must be allowed to do, and keeps to it."""

import re

import pytest
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from alerting.console.api.api import the_whole_platform
from alerting.console.app import create_app
from alerting.console.gate import OPEN
from alerting.operators.actions import ROLES
from alerting.operators.people import Account
from alerting.operators.permissions import Rights, may
from tests.builders import at
from tests.in_memory_platform import in_memory_platform

TOKENS = {f"{role}-token-0123456789": (role, role) for role in ROLES} | {
    "disabled-token-0123456789": ("gone", "admin")
}
OPEN_BY_ADDRESS = {"/f/{token}", "/password/{code}", "/password/{code}/pin"}
"""Routes whose address itself is the permission, each checked by the tests of its links."""


@pytest.fixture(scope="module")
def app():
    platform = in_memory_platform()
    gone = Account("gone", "admin", at(0), "x", at(0), kind="service", disabled_at=at(1))
    platform.accounts.insert(gone)
    return create_app(platform, TOKENS)


def permission_of(route):
    def walk(dependant):
        yield getattr(dependant.call, "permission", None)
        for below in dependant.dependencies:
            yield from walk(below)

    return next((found for found in walk(route.dependant) if found), None)


def routes_of(app):
    return [route for route in app.routes if isinstance(route, APIRoute)]


def test_every_route_declares_a_permission_or_is_one_of_the_open_ones(app):
    undeclared = {route.path for route in routes_of(app) if permission_of(route) is None}
    assert undeclared <= OPEN | OPEN_BY_ADDRESS
    assert undeclared >= OPEN


def test_only_what_needs_no_person_gets_the_platform_without_a_scope(app):
    def calls(dependant):
        yield dependant.call
        for below in dependant.dependencies:
            yield from calls(below)

    whole = {route.path for route in routes_of(app) if the_whole_platform in calls(route.dependant)}
    assert whole == {"/api/v1/health", "/f/{token}"}


def path_of(route):
    return re.sub(r"\{[^}]+\}", "x", route.path)


def test_every_route_refuses_whoever_lacks_its_permission(app):
    client = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    wrong = []
    for route in routes_of(app):
        permission = permission_of(route)
        if permission is None:
            continue
        for method in route.methods:
            answers = {
                name: client.request(
                    method, path_of(route), headers={"authorization": f"Bearer {token}"}
                ).status_code
                for token, (name, _) in TOKENS.items()
            }
            answers[""] = client.request(method, path_of(route)).status_code
            for name, status in answers.items():
                refused = status in (401, 403, 303, 429)
                allowed = name in ROLES and may(Rights(name), permission)
                if refused and name not in ("", "gone") and allowed and status == 303:
                    refused = False  # an allowed act that ends on another page
                if allowed and status == 403 and method == "POST":
                    refused = False  # a form without its csrf value, refused after the role
                if refused == allowed:
                    wrong.append((method, route.path, name or "nobody", status))
    assert wrong == []


def test_a_disabled_service_and_a_stranger_get_nothing(app):
    client = TestClient(app, follow_redirects=False)
    for header in ({}, {"authorization": "Bearer disabled-token-0123456789"}):
        assert client.get("/api/v1/episodes", headers=header).status_code in (401, 429)
        assert client.get("/access", headers=header).status_code in (303, 429)
