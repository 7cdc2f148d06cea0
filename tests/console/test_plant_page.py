"""The page of the plant in figures, and what Now says of it to those who answer for it."""

import pytest
from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.reporting.base.table import to_document
from alerting.reporting.definition.money import Amount, DefinitionNumbers, Money
from tests.builders import at
from tests.helpers.console.api import OPERATOR, TOKENS, VIEWER
from tests.helpers.reports import store_report
from tests.in_memory_platform import in_memory_platform

WORTH = "The alerts that state their costs were worth"


def numbers(name, **changes):
    given = {"weeks": 2.0, "episodes": 9, "hits": 3, "avoided": 1, "false_alarms": 2}
    given |= {"problems": 5, "announced": 3} | changes
    return {"summary": to_document(DefinitionNumbers(name, name, **given))}


@pytest.fixture
def platform():
    made = in_memory_platform()
    made.clock.instant = at(9_000)
    return made


def page_of(platform, path, who=VIEWER):
    app = create_app(platform, TOKENS, now=lambda: at(9_000))
    answer = TestClient(app).get(path, headers=who)
    assert answer.status_code == 200
    return answer.text


def test_each_definition_has_precision_load_and_money_of_its_newest_report(platform):
    costs = Money("EUR", *(Amount(n, n + 90) for n in range(6)), 50.0, ())
    store_report(platform, metrics=numbers("too-hot", money=costs))
    store_report(platform, metrics=numbers("too-hot", hits=30), period="2026-W01", start=at(-9000))
    store_report(platform, metrics=numbers("dear", money=costs), definition="dear")
    store_report(platform, metrics={"summary": {"name": "damaged"}}, definition="damaged")
    store_report(platform, metrics={"totals": {}}, definition=None)
    page = page_of(platform, "/plant")
    for text in ("4 of 6", "3 of 5", "4.5", "EUR 5 to 95", "EUR 0 to 90"):
        assert text in page
    assert page.count("<tr>") == 3
    assert "/reports/dear%3A2026-W02" in page
    assert f"{WORTH} EUR 10 to 190; problems that came cost EUR 2 to 362." in page


def test_now_tells_the_money_to_those_who_answer_no_alarm(platform):
    costs = Money("EUR", *(Amount(n, n + 90) for n in range(6)), 50.0, ())
    store_report(platform, metrics=numbers("too-hot", money=costs))
    assert f'href="/plant">{WORTH}' in page_of(platform, "/")
    assert WORTH not in page_of(platform, "/", OPERATOR)
