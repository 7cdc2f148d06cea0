"""The files in which people give documents: single ones, or folders of them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from alerting.adapters.yaml_documents import read_documents_of
from alerting.cli.command import errors
from alerting.definitions.faults import UserError

MOST_FILES = 20_000
MOST_BYTES = 50_000_000
_ENDINGS = (".yaml", ".yml", ".json")
_SCENARIOS = ".test.yaml"


def read_documents(paths: Sequence[Path]) -> list[tuple[dict[str, Any], str]]:
    """Return the documents of YAML or JSON files, and of all such files in folders, each with its
    file. A map of assets by name gives a document of each. Raises UserError with every file without
    documents or with other content."""
    files = [file for path in paths for file in (_files_below(path) if path.is_dir() else [path])]
    documents: list[tuple[dict[str, Any], str]] = []
    faults: list[str] = []
    for file in files:
        try:
            read = [] if file.name.endswith(_SCENARIOS) else read_documents_of(file)
            documents += [(document, str(file)) for document in read]
        except UserError as fault:
            faults.append(str(fault))
    if faults:
        raise UserError("\n".join(faults))
    if skipped := sum(file.name.endswith(_SCENARIOS) for file in files):
        errors.print(f"left out: {skipped} of scenarios (*{_SCENARIOS}), for `alerting test`")
    return documents


def read_document(file: Path) -> dict[str, Any]:
    """Return the one document of a file. Raises UserError for several, none, or other content."""
    documents = read_documents_of(file)
    if len(documents) > 1:
        names = ", ".join(str(document.get("name")) for document in documents)
        raise UserError(f"{file}: holds {len(documents)} documents ({names}); write one")
    return documents[0]


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the YAML and JSON files of a folder at any depth, without hidden ones and what a link
    names elsewhere. Raises UserError if there are none, too many, or too large ones."""
    seen = size = 0
    for below, folders, names in os.walk(folder):
        seen += len(folders) + len(names)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            file = Path(below, name)
            is_inside = file.is_file() and file.resolve().is_relative_to(folder.resolve())
            if name.endswith(_ENDINGS) and not name.startswith(".") and is_inside:
                size += file.stat().st_size
                yield file
        if seen > MOST_FILES or size > MOST_BYTES:
            raise UserError(
                f"{folder}: has more than {MOST_FILES} files, or {MOST_BYTES // 1_000_000} MB of "
                "documents; name the folder that holds the documents alone"
            )
    if not size:
        raise UserError(f"{folder}: has no YAML or JSON file")
