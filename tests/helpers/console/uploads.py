"""A console that takes imports, and a European file for it."""

from datetime import UTC, datetime, timedelta

from fastapi.testclient import TestClient

from alerting.adapters.files.upload_folder import UploadFolder
from alerting.console.app import create_app
from tests.helpers.console.api import TOKENS

ENGINEER_TOKEN = "engineer-token-0123456789"
WITH_ENGINEER = {**TOKENS, ENGINEER_TOKEN: ("emil", "engineer")}
EMIL = {"authorization": f"Bearer {ENGINEER_TOKEN}"}
URL = "/api/v1/imports"
_A_HANG_S = 120


def console(platform, folder, zone="Europe/Berlin"):
    """Return the application of a platform with a folder for imports, of a plant in Berlin."""
    return create_app(platform, WITH_ENGINEER, import_files=UploadFolder(folder, zone))


def client_of(platform, folder, **changes):
    return TestClient(
        console(platform, folder, **changes), raise_server_exceptions=False, follow_redirects=False
    )


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


def send(client, content, headers=EMIL, **query):
    return client.post(URL, content=content, params=query, headers=headers)


def ended(client, id, headers=EMIL):
    """Return an import after its check or write."""
    for _ in range(_A_HANG_S // 10):
        found = client.get(f"{URL}/{id}?wait=10", headers=headers).json()
        if found["ended_at"]:
            return found
    raise AssertionError(found)


def checked(client, content, headers=EMIL, **query):
    answer = send(client, content, headers, **query)
    assert answer.status_code == 202, answer.text
    return ended(client, answer.json()["id"], headers)


def written(client, id, headers=EMIL):
    answer = client.post(f"{URL}/{id}:write", headers=headers)
    assert answer.status_code == 202, answer.text
    return ended(client, id, headers)
