"""Files of registered models on disk: downloaded once, compared with their hashes at every load,
and never trusted."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from alerting.adapters.memory.platform import MemoryDecisions
from alerting.adapters.mlflow.file_cache import FolderFileCache
from alerting.learning.models import model_files
from alerting.ports import ModelUnavailable, RegistryPorts
from alerting.usecases.model_registry import load_model, register_model
from tests.builders import classifier
from tests.in_memory_platform import MemoryModels

NAME = "too-moist"
FILES = {"model.json": b"{}", "deep/booster.txt": b"tree\n" * 50}
KEY = b"key of a shared registry"


class Registry:
    """The registry of a platform, with its downloads counted."""

    def __init__(self, models):
        self._models = models
        self.downloads = 0

    def model_files(self, definition, version):
        self.downloads += 1
        return {
            **self._models.model_files(definition, version),
            "MLmodel": b"added by the registry",
        }


@pytest.fixture
def parsed(monkeypatch):
    """Every set of files that came to the parser."""
    seen = []

    def model_from_files(files):
        seen.append(dict(files))
        return "a model"

    monkeypatch.setattr(model_files, "model_from_files", model_from_files)
    return seen


@pytest.fixture(params=[b"", KEY], ids=["sha256", "hmac"])
def plant(request, tmp_path, parsed):
    """The ports of a registry with one registered version, and an empty cache."""
    models = MemoryModels()
    ports = RegistryPorts(
        runs=models, models=models, decisions=MemoryDecisions(), model_key=request.param
    )
    register_model(ports, NAME, "run-1", FILES, {}, {})
    return replace(
        ports,
        models=Registry(ports.models),
        model_file_cache=FolderFileCache(tmp_path / "cache" / "models"),
    )


def entries(tmp_path):
    folder = tmp_path / "cache" / "models"
    return sorted(folder.iterdir())


def test_files_are_downloaded_once_and_compared_at_every_load(plant, parsed, tmp_path):
    for _ in range(3):
        assert load_model(plant, classifier(), 1) == "a model"
    assert plant.models.downloads == 1
    assert parsed == [FILES] * 3
    [entry] = entries(tmp_path)
    assert {path.stat().st_mode & 0o777 for path in (entry.parent, entry.parent.parent)} == {0o700}
    assert entry.stat().st_mode & 0o777 == 0o600


def spoil(entry, elsewhere, damage):
    """Damage an entry of the cache in one of these ways."""
    content = entry.read_bytes()
    head, _, body = content.partition(b"\n")
    entry.rename(elsewhere)
    elsewhere.write_bytes(content[:-5] + b"X" + content[-4:])
    if damage == "a link":
        entry.symlink_to(elsewhere)
    elif damage == "a pipe":
        os.mkfifo(entry)
    elif damage != "lost":
        written = {
            "changed": elsewhere.read_bytes(),
            "cut": content[:-1],
            "header changed": head.replace(b"2", b"3") + b"\n" + body,
            "header cut": content[5:],
            "empty": b"",
            "swapped": head + b"\n" + body[2:] + body[:2],
            "a list": b"[1, 2]\n" + body,
            "huge": content,
        }[damage]
        entry.write_bytes(written)
        os.truncate(entry, 3 << 30 if damage == "huge" else len(written))
        assert entry.stat().st_size > 1 << 30 or written != content


DAMAGES = (
    *("changed", "cut", "header changed", "header cut", "empty", "lost", "swapped"),
    *("a link", "a pipe", "a list", "huge"),
)


def test_a_damaged_file_is_never_parsed_and_downloaded_again(plant, parsed, tmp_path):
    load_model(plant, classifier(), 1)
    [entry] = entries(tmp_path)
    downloads = {}
    for damage in DAMAGES:
        before = plant.models.downloads
        spoil(entry, tmp_path / "elsewhere", damage)
        assert load_model(plant, classifier(), 1) == "a model"
        assert load_model(plant, classifier(), 1) == "a model"
        downloads[damage] = plant.models.downloads - before
    assert downloads == dict.fromkeys(DAMAGES, 1), "the damaged entry was replaced"
    assert parsed == [FILES] * (1 + 2 * len(DAMAGES))


def test_files_of_another_key_or_version_are_not_taken_and_cached_ones_are_there_without_registry(
    plant, tmp_path
):
    load_model(plant, classifier(), 1)
    register_model(
        replace(plant, models=plant.models._models),
        NAME,
        "run-2",
        {**FILES, "model.json": b"[]"},
        {},
        {},
    )
    load_model(plant, classifier(), 2)
    assert (plant.models.downloads, len(entries(tmp_path))) == (2, 2)
    plant.models._models.reachable = False
    assert load_model(plant, classifier(), 1) == "a model"
    plant.models._models.reachable = True
    with pytest.raises(ModelUnavailable, match="key"):
        load_model(replace(plant, model_key=b"another"), classifier(), 1)


def test_what_was_not_used_for_the_longest_time_is_evicted(tmp_path):
    cache = FolderFileCache(tmp_path / "cache" / "models", most_bytes=1000)
    hashes = {"model.json": "a hash"}
    for version in (1, 2, 1, 3, 4):
        found = cache.load(NAME, version, hashes)
        size = 1001 if version == 4 else 400
        if found is None:
            cache.store(NAME, version, hashes, {"model.json": b"x" * size})
        by_use = sorted(entries(tmp_path), key=lambda path: path.stat().st_mtime_ns)
        for used, entry in enumerate(by_use):
            os.utime(entry, (1000 + used, 1000 + used))
    found = [cache.load(NAME, version, hashes) is not None for version in (1, 2, 3, 4)]
    assert found == [True, False, True, False], "the last one is larger than the cache"
    assert len(entries(tmp_path)) == 2


def test_a_cache_that_cannot_be_written_is_no_fault(plant, tmp_path):
    (tmp_path / "cache").write_text("a file in its place")
    loaded = [load_model(plant, classifier(), 1) for _ in range(2)]
    assert (loaded, plant.models.downloads) == (["a model"] * 2, 2)


def test_processes_that_write_read_and_drop_at_once_see_whole_entries_or_none(tmp_path):
    folder = tmp_path / "cache" / "models"

    def work(worker):
        """Return what was read and is no whole entry."""
        cache = FolderFileCache(folder, most_bytes=20_000)
        wrong = []
        for step in range(60):
            version = (step * 7 + worker) % 5
            files = {f"file-{n}": bytes([version]) * 2000 for n in range(3)}
            hashes = dict.fromkeys(files, "hash")
            cache.store(NAME, version, hashes, files)
            found = cache.load(NAME, version, hashes)
            wrong += [] if found in (None, files) else [found]
            if step % 10 == worker:
                cache.drop(NAME, version, hashes)
        return wrong

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [[]] * 4
    assert not [path for path in folder.iterdir() if path.name.startswith(".part-")]
