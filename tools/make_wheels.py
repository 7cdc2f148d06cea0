"""Make a folder with the wheel of each package of the environment: `python3 tools/make_wheels.py`.

`tools/make_environment.py` installs from that folder, and asks no index, where the project has it.
The wheels fit this version of Python, this system and this kind of processor.
"""

import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from tempfile import NamedTemporaryFile

from make_environment import ENVIRONMENT, ROOT, WHEELS

OWN = "alerting"  # installed from its source, as it needs the folders beside it
# to make an environment: pip builds the project with setuptools
TOOLS = ("uv", "setuptools>=77")


def main() -> int:
    packages = installed(ENVIRONMENT)
    if not packages:
        print("there is no environment to take the versions from: run `make` first")
        return 1
    with NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("\n".join((*packages, *TOOLS)))
        file.flush()
        command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(WHEELS)]
        done = subprocess.run([sys.executable, *command, "--requirement", file.name], check=False)
    if done.returncode == 0:
        files = [*WHEELS.glob("*.whl")]
        size = sum(file.stat().st_size for file in files) / (1 << 20)
        print(f"{len(files)} wheels in {WHEELS.relative_to(ROOT)}, {size:.0f} MiB")
    return done.returncode


def installed(environment: Path) -> list[str]:
    """Return the packages of an environment with their versions, without the project itself."""
    folders = [str(path) for path in environment.glob("lib/python3.*/site-packages")]
    found = {found.name: found.version for found in distributions(path=folders)}
    return sorted(f"{name}=={version}" for name, version in found.items() if name != OWN)


if __name__ == "__main__":
    sys.exit(main())
