"""Registered models that this process has read; equal files are parsed once, also when several
definitions registered them."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from threading import Lock
from typing import TYPE_CHECKING

from alerting.definitions.model import Definition
from alerting.ports import Files, RegistryPorts
from alerting.usecases.registry.registration import (
    file_hashes,
    parse_model,
    registered_files,
    registered_hashes,
)

if TYPE_CHECKING:
    from alerting.learning.models.trained import TrainedModel

MOST_BYTES = 1 << 30  # 1,000 champions of 150 trees: fewer would be read again at each tick
Content = tuple[str, frozenset[tuple[str, str]]]
"""A kind, and the name and SHA-256 of each file."""


class ModelCache:
    """Cache of registered models, for several threads. No thread waits for a model that another
    thread reads.

    `most_bytes`: of the files of those that it keeps; the least recently used go first.
    """

    def __init__(self, platform: RegistryPorts, most_bytes: int = MOST_BYTES) -> None:
        self._platform = platform
        self._most_bytes = most_bytes
        self._contents: dict[tuple[str, int], Content] = {}
        self._parsed: OrderedDict[Content, TrainedModel] = OrderedDict()
        self._sizes: dict[Content, int] = {}
        self._last: dict[str, tuple[Definition, int]] = {}
        self._lock = Lock()

    def get(self, definition: Definition, version: int) -> "TrainedModel":
        """Return a registered model. Raises ModelUnavailable, also for damaged files."""
        self._last[definition.name] = definition, version
        return self.loaded(definition, version) or self._read(definition, version)

    def last_used(self, name: str) -> "tuple[Definition, TrainedModel] | None":
        """Return the model of this name that was asked for last, with the definition that asked;
        None before the first time, and if it is not kept."""
        if name not in self._last:
            return None
        definition, version = self._last[name]
        model = self.loaded(definition, version)
        return None if model is None else (definition, model)

    def forget_others(self, names: Collection[str]) -> None:
        """Forget what was asked for last of definitions without one of these names."""
        self._last = {name: last for name, last in self._last.items() if name in names}

    def loaded(self, definition: Definition, version: int) -> "TrainedModel | None":
        """Return a model that is kept; None if its files would have to be read first."""
        with self._lock:
            content = self._contents.get((definition.name, version))
            return None if content is None else self._use(content)

    def _use(self, content: Content) -> "TrainedModel | None":
        model = self._parsed.get(content)
        if model is not None:
            self._parsed.move_to_end(content)
        return model

    def _read(self, definition: Definition, version: int) -> "TrainedModel":
        """Read a model, unless the same files are parsed already."""
        key = (definition.name, version)
        stored = registered_hashes(self._platform.decisions, definition.name, version)
        if (
            not self._platform.model_key
        ):  # a keyed hash names its definition, so it is compared with the files themselves
            with self._lock:
                for content in _contents(definition, stored):
                    if (model := self._use(content)) is not None:
                        self._contents[key] = content
                        return model
        files, hashes = registered_files(self._platform, definition.name, version, stored)
        keyed = bool(self._platform.model_key)
        plain = file_hashes(definition.name, files, b"") if keyed else hashes
        [content] = _contents(definition, [plain])
        with self._lock:
            model = self._use(content)
        model = model or parse_model(definition, version, files)
        with self._lock:
            self._contents[key] = content
            return self._keep(content, model, files)

    def _keep(self, content: Content, model: "TrainedModel", files: Files) -> "TrainedModel":
        """Keep a model and return it, or the one that another thread has read from equal files
        meanwhile."""
        self._sizes[content] = sum(map(len, files.values()))
        kept = self._parsed.setdefault(content, model)
        self._parsed.move_to_end(content)
        while len(self._parsed) > 1 and sum(self._sizes.values()) > self._most_bytes:
            oldest, _ = self._parsed.popitem(last=False)
            del self._sizes[oldest]
        return kept


def _contents(definition: Definition, hashes: Iterable[Mapping[str, str]]) -> list[Content]:
    return [(definition.kind, frozenset(found.items())) for found in hashes]
