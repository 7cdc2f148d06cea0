"""What runs a platform without a person: the unit of systemd, wheels for a machine without a
network, the list of parts."""

import configparser
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from importlib.metadata import distribution
from pathlib import Path

from alerting.local.up import is_journal
from tools.sbom import describe, hash_wheels

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


def test_the_journal_is_known_by_its_stream(tmp_path):
    with (tmp_path / "output").open("w") as output:
        found = os.fstat(output.fileno())
        assert is_journal({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}, output)
        assert not is_journal({"JOURNAL_STREAM": "8:1"}, output)
        assert not is_journal({}, output)


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


def test_wheels_are_made_of_what_is_installed_without_the_project(tmp_path, monkeypatch):
    for name in ("weaver", "alerting"):
        info = tmp_path / "lib" / "python3.11" / "site-packages" / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(ROOT / "tools")
    assert load_tool("make_wheels").installed(tmp_path) == ["weaver==1.0"]


def test_the_list_of_parts_has_version_licence_address_hash_and_use_of_each(tmp_path):
    write_wheel(tmp_path / "wheels", "ruff")
    packages = {name: distribution(name) for name in ("alerting", "httpx", "anyio", "ruff")}
    [sha256] = hash_wheels(tmp_path / "wheels").values()
    hashes = {("ruff", packages["ruff"].version): sha256}
    found = json.loads(json.dumps(describe(packages, hashes, datetime(2026, 1, 1, tzinfo=UTC))))
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f-]{36}", found["serialNumber"])
    assert found["metadata"]["component"]["name"] == "alerting"
    parts = {part["name"]: part for part in found["components"]}
    assert {name: part["scope"] for name, part in parts.items()} == {
        "anyio": "required",  # by httpx
        "httpx": "required",
        "ruff": "excluded",
    }
    version = packages["httpx"].version
    assert parts["httpx"]["purl"] == f"pkg:pypi/httpx@{version}"
    assert parts["httpx"]["licenses"] == [{"license": {"name": "BSD-3-Clause"}}]
    assert parts["ruff"]["hashes"] == [{"alg": "SHA-256", "content": sha256}]
    needs = {one["ref"]: one["dependsOn"] for one in found["dependencies"]}
    assert parts["anyio"]["purl"] in needs[parts["httpx"]["purl"]]
    assert parts["ruff"]["purl"] not in needs[found["metadata"]["component"]["bom-ref"]]
