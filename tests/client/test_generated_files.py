"""The files of the client are those that the description of the API gives."""

from pathlib import Path

import alerting.client
from tools.client.write import client_files

HERE = Path(alerting.client.__file__).parent


def test_the_files_are_those_of_the_description():
    made = client_files()
    stored = {
        path.relative_to(HERE).as_posix(): path.read_text(encoding="utf-8")
        for path in [HERE / "client.py", *HERE.glob("calls/*.py"), *HERE.glob("shapes/*.py")]
    }
    assert stored.keys() == made.keys(), "run: python -m tools.client"
    different = [name for name, text in made.items() if stored[name] != text]
    assert different == [], "run: python -m tools.client"
