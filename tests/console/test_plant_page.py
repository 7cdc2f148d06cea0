"""The page of the plant in figures, and what Now says of it to those who answer for it."""

from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.reporting.base.table import to_document
from alerting.reporting.definition.money import Amount, DefinitionNumbers, Money
from tests.builders import at
from tests.helpers.console.api import OPERATOR, TOKENS, VIEWER
from tests.helpers.console.pages import missing
from tests.helpers.reports import store_report
from tests.in_memory_platform import in_memory_platform

WORTH = "The alerts that state their costs were worth"
COSTS = Money("EUR", *(Amount(n, n + 90) for n in range(6)), 50.0, ())


def numbers(name, **changes):
    given = {"weeks": 2.0, "episodes": 9, "hits": 3, "avoided": 1, "false_alarms": 2}
    given |= {"problems": 5, "announced": 3} | changes
    return {"summary": to_document(DefinitionNumbers(name, name, **given))}


def test_each_definition_has_precision_load_and_money_of_its_newest_report():
    platform = in_memory_platform()
    platform.clock.instant = at(9_000)
    store_report(platform, metrics=numbers("too-hot", money=COSTS))
    store_report(platform, metrics=numbers("too-hot", hits=30), period="2026-W01", start=at(-9000))
    store_report(platform, metrics=numbers("dear", money=COSTS), definition="dear")
    store_report(platform, metrics={"summary": {"name": "damaged"}}, definition="damaged")
    store_report(platform, metrics={"totals": {}}, definition=None)
    client = TestClient(create_app(platform, TOKENS, now=lambda: at(9_000)))
    page = client.get("/plant", headers=VIEWER).text
    figures = ("4 of 6", "3 of 5", "4.5", "EUR 5 to 95", "EUR 0 to 90", "/reports/dear%3A2026-W02")
    both = f"{WORTH} EUR 10 to 190; problems that came cost EUR 2 to 362."
    assert missing(page, *figures, both) == []
    assert page.count("<tr>") == 3
    assert f'href="/plant">{WORTH}' in client.get("/", headers=VIEWER).text
    assert WORTH not in client.get("/", headers=OPERATOR).text  # they answer alarms
