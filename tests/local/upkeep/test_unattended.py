"""What runs a platform without a person: the unit of systemd, wheels for a machine without a
network, the list of parts."""

import configparser
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "config" / "systemd" / "alerting.service"
PROGRAM = "/opt/alerting/.venv/bin/alerting"


def load_tool(name):
    """Return a tool that is run by the system's Python, outside of the package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_unit():
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str
    found.read(UNIT, encoding="utf-8")
    return found


def test_the_unit_starts_the_platform_as_a_user_of_its_own_who_can_gain_no_rights():
    service = read_unit()["Service"]
    program, command, *options = service["ExecStart"].split()
    assert (program, command, options) == (PROGRAM, "up", ["--no-demo"])
    assert service["User"] not in ("", "root")
    assert service["CapabilityBoundingSet"] == ""
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "RestrictSUIDSGID"):
        assert service[name] == "yes"
    assert service["ProtectSystem"] == "strict"
    home = re.search(r"ALERTING_HOME=(\S+)", service["Environment"])[1]
    assert home.startswith(f"/var/lib/{service['StateDirectory']}/")
    assert service["UMask"] == "0077"


def test_systemd_where_it_is_installed_understands_the_unit_and_finds_it_confined(tmp_path):
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(PROGRAM, "/bin/true"))
    analyze = shutil.which("systemd-analyze")
    checks = (("verify", "--man=no"), ("security", "--offline=true", "--threshold=25"))
    for words in checks if analyze else ():
        done = subprocess.run([analyze, *words, unit], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "alerting.service" not in done.stderr


def write_wheel(folder, name):
    folder.mkdir()
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        form = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", form)
        wheel.writestr(f"{info}/RECORD", "")


def test_with_a_folder_of_wheels_no_index_is_asked(tmp_path):
    make_environment = load_tool("make_environment")
    wheels = tmp_path / "a plant's wheels"
    assert make_environment.offline_settings(wheels) == {}
    write_wheel(wheels, "weaver")
    settings = make_environment.offline_settings(wheels)
    python = Path(sys.base_prefix, "bin", "python3")
    found, missing = (
        subprocess.run(
            [python, "-m", "pip", "install", "--dry-run", "--target", tmp_path / "new", name],
            env=os.environ | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        for name in ("weaver", "httpx")
    )
    assert "Would install weaver-1.0" in found.stdout, found.stderr
    assert missing.returncode != 0
    assert "from versions: none" in missing.stderr
    pip = {"no-index": "1", "find-links": settings["PIP_FIND_LINKS"]}
    assert make_environment.uv_settings(pip, {}) == {
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": wheels.as_uri(),
    }
