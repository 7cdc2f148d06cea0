"""The console starts without the libraries of models, statistics and drawing, and shows its front
page without them: they take most of a process's memory."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = {
    *("scipy", "sklearn", "lightgbm", "xgboost", "shap", "numba", "optuna", "skops"),
    *("matplotlib", "mlflow", "sqlalchemy", "airflow", "django"),
    *("pandas", "pyarrow"),
}
PROGRAM = """
import sys
from fastapi.testclient import TestClient
import alerting.console.serve
from alerting.console.app import create_app
from tests.in_memory_platform import in_memory_platform
app = create_app(in_memory_platform(), {"a" * 30: ("ada", "admin")})
with TestClient(app, headers={"authorization": "Bearer " + "a" * 30}) as browser:
    for path in ("/", "/now", "/api/v1/episodes"):
        assert browser.get(path).status_code == 200, path
print(sorted(set(sys.argv[1:]) & {name.partition(".")[0] for name in sys.modules}))
"""


def test_the_console_starts_without_heavy_libraries():
    command = [sys.executable, "-c", PROGRAM, *HEAVY]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]", found.stdout
