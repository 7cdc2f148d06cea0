"""Write the typed client from the description of the API: python -m tools.client."""

from pathlib import Path

from tools.client.write import client_files

ROOT = Path(__file__).parents[2] / "alerting" / "client"

files = client_files()
for folder in ("calls", "shapes"):
    for path in (ROOT / folder).glob("*.py"):
        path.unlink()
for name, text in files.items():
    path = ROOT / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
