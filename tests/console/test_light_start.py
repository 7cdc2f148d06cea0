"""The console starts without the libraries of tables, models, statistics and drawing, and serves
the pages, streams and answers of operators without them: they take most of a process's memory."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {
    *("scipy", "sklearn", "lightgbm", "xgboost", "shap", "numba", "optuna", "skops"),
    *("matplotlib", "mlflow", "sqlalchemy", "airflow"),
    *("pandas", "pyarrow", "cryptography"),
}
PROGRAM = """
import sys
from fastapi.testclient import TestClient
import alerting.console.serve
from alerting.console.app import create_app
from alerting.definitions.assets import Asset, Variable
from alerting.ports import ReadingRow
from alerting.usecases.definitions.sync import apply
from alerting.usecases.ingestion.arrivals import add_readings
from tests.builders import at, too_hot
from tests.helpers.console.api import episode
from tests.in_memory_platform import in_memory_platform
platform = in_memory_platform()
heat = {"temperature": Variable(unit="°C")}
platform.assets.store_assets([Asset(name="oven-1", variables=heat)])
apply(platform, [too_hot()], "ada", at(0), "first")
add_readings(platform, [ReadingRow("oven-1", at(1), {"temperature": 61.5})], at(1))
hot, over = episode(90, condition="open"), episode(30)
for one in (hot, over):
    assert platform.episodes.insert(one)
platform.clock.instant = at(100)
app = create_app(platform, {"a" * 30: ("ada", "admin")})
with TestClient(app, headers={"authorization": "Bearer " + "a" * 30}) as browser:
    for path in (
        *("/", "/now", "/handover", "/silences", "/new-silence", "/assets", "/routes"),
        *(f"/episodes/{hot.id}", "/definitions", "/platform", "/plant"),
        *("/api/v1/live", "/api/v1/now", "/api/v1/episodes", f"/api/v1/episodes/{hot.id}"),
    ):
        assert browser.get(path).status_code == 200, path
    assert "61.5" in browser.get("/now").text  # the last value, of long ago
    for path, body in (
        (f"episodes/{hot.id}/ack", {}),
        (f"episodes/{hot.id}/feedback", {"verdict": "true_alarm"}),
        (f"episodes/{hot.id}/assign", {"to": "otto"}),
        ("shelves", {"definition": "too-hot", "asset": "oven-1", "for": "1h", "reason": "test"}),
        ("silences", {"kind": "silence", "part": "oven-1", "for": "1h", "reason": "test"}),
    ):
        assert browser.post("/api/v1/" + path, json=body).is_success, path
print(sorted(set(sys.argv[1:]) & {name.partition(".")[0] for name in sys.modules}))
"""


def test_the_console_serves_operators_without_heavy_libraries():
    command = [sys.executable, "-c", PROGRAM, *HEAVY]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]", found.stdout
