"""The cache of platforms with trained champions is used as long as nothing that made them has
changed."""

import pytest

from tests.builders import oven
from tests.helpers.learning import stored_platforms
from tests.helpers.learning.stored_platforms import MOST_FILES, stored_platform
from tests.in_memory_platform import in_memory_platform

pytestmark = pytest.mark.models

MADE = []


def platform_of(name):
    MADE.append(name)
    made = in_memory_platform()
    made.assets.store_assets([oven().model_copy(update={"name": name})])
    return made


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    MADE.clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "alerting-tests"


def names(platform):
    return [asset.name for asset in platform.assets.all()]


def test_the_same_platform_is_made_once_and_each_user_has_its_own():
    first = stored_platform(platform_of, "a")
    first.assets.store_assets([oven()])
    assert names(stored_platform(platform_of, "a")) == ["a"]
    assert names(stored_platform(platform_of, "b")) == ["b"]
    assert MADE == ["a", "b"]


def test_changed_code_or_libraries_make_it_again(monkeypatch):
    stored_platform(platform_of, "a")
    monkeypatch.setattr(stored_platforms, "_code", lambda: "another version")
    stored_platform(platform_of, "a")
    assert MADE == ["a", "a"]


def test_the_code_that_counts_is_that_of_learning_and_the_pins():
    files = {
        file.relative_to(stored_platforms.ROOT).as_posix() for file in stored_platforms._files()
    }
    assert files >= {
        "config/constraints.txt",
        "alerting/learning/search/search.py",
        "alerting/usecases/training/train.py",
        "tests/humid_line.py",
    }


def test_a_damaged_file_is_made_again(folder):
    stored_platform(platform_of, "a")
    (file,) = (path for path in folder.iterdir() if path.suffix != ".lock")
    file.write_bytes(file.read_bytes()[:100])
    assert names(stored_platform(platform_of, "a")) == ["a"]
    assert MADE == ["a", "a"]


def test_the_folder_does_not_grow_for_ever(folder):
    for number in range(MOST_FILES):
        stored_platform(platform_of, f"a{number}")
    assert len(list(folder.iterdir())) <= MOST_FILES + 1
