"""A console that takes imports, and a European file for it."""

from datetime import UTC, datetime, timedelta

from fastapi.testclient import TestClient

from alerting.console.app import create_app
from alerting.console.plant.import_jobs import Imports
from tests.helpers.console.api import TOKENS
from tests.helpers.console.pages import csrf_of, log_in

ENGINEER_TOKEN = "engineer-token-0123456789"
WITH_ENGINEER = {**TOKENS, ENGINEER_TOKEN: ("emil", "engineer")}
_A_HANG_S = 120


def browser_of(platform, folder, zone="Europe/Berlin"):
    """Return a browser in which an engineer has signed in, on a console with a folder for imports,
    of a plant in Berlin."""
    app = create_app(platform, WITH_ENGINEER, import_files=Imports(folder, zone))
    made = TestClient(app, raise_server_exceptions=False, follow_redirects=False)
    log_in(made, ENGINEER_TOKEN)
    return made


def european_file(hours=8, step_minutes=1):
    """Return a file as European loggers write them, over the night in which the clocks of Berlin
    are set back: semicolons, decimal commas, German dates, an hour that comes twice."""
    start = datetime(2025, 10, 25, 22, tzinfo=UTC)  # midnight in Berlin
    lines = ["Zeitstempel;Temperatur Zone 1 [°C];Rezeptur"]
    for minute in range(0, hours * 60, step_minutes):
        utc = start + timedelta(minutes=minute)
        local = utc + timedelta(hours=2 if utc.hour >= 22 or utc.hour < 1 else 1)
        value = f"{200 + minute % 17 + 0.5:.1f}".replace(".", ",")
        lines.append(f"{local:%d.%m.%Y %H:%M:%S};{value};A{minute // 120}")
    return ("\n".join(lines) + "\n").encode("cp1252")


def sent(browser, content, name="line.csv", **fields):
    """Return the answer to a form with a file."""
    data = {"csrf": csrf_of(browser.get("/import")), **fields}
    return browser.post("/import", data=data, files={"file": (name, content, "text/csv")})


def page_of(browser, answer, language="en"):
    """Return the page to which an answer leads, after the work at its file."""
    assert answer.status_code == 303, answer.text
    address = answer.headers["location"]
    assert browser.app.state.import_files.find(address.rpartition("/")[2]).over.wait(_A_HANG_S)
    return browser.get(address, headers={"accept-language": language})


def act(browser, page, verb, /, language="en", **fields):
    """Return the page after an act of an import's page with the fields of a form."""
    address = f"{page.request.url.path}/{verb}"
    answer = browser.post(address, data={"csrf": csrf_of(page), **fields})
    return page_of(browser, answer, language)
