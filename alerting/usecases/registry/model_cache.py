"""Registered models that this process has read; equal files are parsed once, also when several definitions registered them."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from alerting.definitions.model import Definition
from alerting.ports import Files, RegistryPorts
from alerting.usecases.registry.registration import file_hashes, parse_model, registered_files, registered_hashes

if TYPE_CHECKING:
    from alerting.learning.models.trained import TrainedModel

MOST_BYTES = 512 << 20
Content = tuple[str, frozenset[tuple[str, str]]]
"""A kind, and the name and SHA-256 of each file."""


class ModelCache:
    """Cache of registered models. `most_bytes`: of the files of those that it keeps; the least recently used go first."""

    def __init__(self, platform: RegistryPorts, most_bytes: int = MOST_BYTES) -> None:
        self._platform, self._most_bytes = platform, most_bytes
        self._contents: dict[tuple[str, int], Content] = {}
        self._parsed: OrderedDict[Content, TrainedModel] = OrderedDict()
        self._sizes: dict[Content, int] = {}

    def get(self, definition: Definition, version: int) -> "TrainedModel":
        """Return a registered model. Raises ModelUnavailable, also for damaged files."""
        key = definition.name, version
        content = self._contents.get(key)
        if content is None or content not in self._parsed:
            content = self._contents[key] = self._read(definition, version)
        self._parsed.move_to_end(content)
        return self._parsed[content]

    def _read(self, definition: Definition, version: int) -> Content:
        """Read a model, unless the same files are parsed already; return their content."""
        stored = registered_hashes(self._platform, definition.name, version)
        if not self._platform.model_key:  # a keyed hash names its definition, so it is compared with the files themselves
            known = next((content for content in _contents(definition, stored) if content in self._parsed), None)
            if known is not None:
                return known
        files = registered_files(self._platform, definition.name, version, stored)
        [content] = _contents(definition, [file_hashes(definition.name, files, b"")])
        if content not in self._parsed:
            self._keep(content, parse_model(definition, version, files), files)
        return content

    def _keep(self, content: Content, model: "TrainedModel", files: Files) -> None:
        self._parsed[content], self._sizes[content] = model, sum(map(len, files.values()))
        while len(self._parsed) > 1 and sum(self._sizes.values()) > self._most_bytes:
            oldest, _ = self._parsed.popitem(last=False)
            del self._sizes[oldest]


def _contents(definition: Definition, hashes: Iterable[Mapping[str, str]]) -> list[Content]:
    return [(definition.kind, frozenset(found.items())) for found in hashes]
