"""Files that stand beside the package in a checkout, and in it in a wheel."""

import re
import tomllib
from pathlib import Path

import pytest

from alerting.local.demo import EXAMPLES
from alerting.settings import shipped_files
from alerting.settings.shipped_files import shipped

pytestmark = pytest.mark.fast
ROOT = Path(__file__).parents[2]
SETUP = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def found(patterns):
    """Return the files that the patterns of each package find in its folder."""
    folders = {package: ROOT / SETUP["package-dir"].get(package, package) for package in patterns}
    return {
        file
        for package, globs in patterns.items()
        for pattern in globs
        for file in folders[package].glob(pattern)
        if file.is_file()
    }


def test_a_wheel_has_all_of_the_package_and_all_that_the_package_asks_for():
    in_wheel = found(SETUP["package-data"]) - found(SETUP["exclude-package-data"])
    own = [file for file in (ROOT / "alerting").rglob("*") if "__pycache__" not in file.parts]
    assert {file for file in own if file.is_file()} - in_wheel == set()
    sources = [file.read_text(encoding="utf-8") for file in own if file.suffix == ".py"]
    asked = re.findall(r'\bshipped\("([^"]+)"\)', "\n".join(sources))
    assert {"dags", "config/airflow.env"} <= set(asked)
    for name in (*asked, EXAMPLES, "config/constraints.txt", "config/systemd/alerting.service"):
        needed = [ROOT / name, *(ROOT / name).rglob("*")]
        files = {file for file in needed if file.is_file() and "__pycache__" not in file.parts}
        assert files and files <= in_wheel, name
    shared = [str(file.relative_to(ROOT)) for file in in_wheel if "docker" in file.parts]
    assert shared == []


def test_no_module_of_the_package_looks_for_files_above_its_own_folder():
    upwards = re.compile(r"__file__\)?(?:\.\w+\(\))*\.parent(?:s\[|\.parent)|^_?ROOT\b", re.M)
    assert [
        str(file.relative_to(ROOT))
        for file in (ROOT / "alerting").rglob("*.py")
        if upwards.search(file.read_text(encoding="utf-8"))
    ] == []


def test_files_are_found_in_a_checkout_and_in_a_wheel(tmp_path, monkeypatch):
    assert shipped("dags") == ROOT / "dags"
    package = tmp_path / "site-packages" / "alerting"
    (package / "shipped" / "dags").mkdir(parents=True)
    (package.parent / "config").mkdir()  # of somebody else
    monkeypatch.setattr(shipped_files, "PACKAGE", package)
    assert shipped("dags") == package / "shipped" / "dags"
    with pytest.raises(FileNotFoundError, match="config"):
        shipped("config")
