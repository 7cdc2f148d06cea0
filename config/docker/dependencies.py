"""Print the requirements of a pyproject.toml, one a line, with those of the named extras:
dependencies.py FILE [EXTRA...]."""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["project"]
requirements = list(project["dependencies"])
for extra in sys.argv[2:]:
    requirements += project["optional-dependencies"][extra]
sys.stdout.write("\n".join(requirements) + "\n")
