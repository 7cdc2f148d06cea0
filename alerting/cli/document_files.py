"""The files in which people give documents, single ones or folders of them, and their kinds."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alerting.adapters.yaml_documents import read_documents_of
from alerting.cli.command import errors
from alerting.definitions.faults import UserError, name_hint

if TYPE_CHECKING:
    from alerting.ports import Platform
    from alerting.usecases.document_life import DocumentKind

Sort = str
"""The word for a document of a kind, such as `source`."""
MOST_FILES = 20_000
MOST_BYTES = 50_000_000
_ENDINGS = (".yaml", ".yml", ".json")
_SCENARIOS = ".test.yaml"


def kinds() -> "Mapping[str, DocumentKind[Any, Any]]":
    """Return the kinds of documents. They load numpy, which listing definitions does not need."""
    from alerting.usecases.document_kinds import KINDS

    return KINDS


def require_sort(sort: Sort) -> Sort:
    """Return a sort that `--as` names. Raises UserError if there is no such kind of documents."""
    if sort not in kinds():
        hint = name_hint(sort, kinds(), "kinds")
        raise UserError(f"--as: {sort!r} is no kind of documents; {hint}")
    return sort


def sort_of(document: Mapping[str, Any], chosen: Sort | None = None) -> Sort:
    """Return the sort of a document: the chosen sort, else by its fields. Raises UserError for a
    chosen sort that there is not."""
    from alerting.definitions.asset_documents import Asset
    from alerting.definitions.routes_and_sinks import sink_kinds
    from alerting.definitions.sources import source_kinds

    if chosen:
        return require_sort(chosen)
    kind = document.get("kind")
    if kind is None or not isinstance(kind, str):
        fields = Asset.model_fields.keys()
        has_its_own = {"name"} < document.keys() <= fields
        has_its_own |= bool(document.keys() & fields - {"name", "title"})
        is_asset = kind is None and has_its_own and "assets" not in document
        return "route" if "channels" in document else "asset" if is_asset else "definition"
    kinds: dict[Sort, Any] = {"source": source_kinds(), "sink": sink_kinds()}
    fits: dict[Sort, tuple[bool, int]] = {}
    for sort, models in kinds.items():
        if kind in models:
            fields = models[kind].model_fields
            needed = {name for name, field in fields.items() if field.is_required()}
            fits[sort] = (needed <= document.keys(), len(document.keys() & fields.keys()))
    if len(fits) == 2 and not any(number for _, number in fits.values()):
        return "sink" if "sends" in document else "source"
    return max(fits, key=lambda sort: fits[sort], default="definition")


def read_by_sort(
    p: "Platform", files: Sequence[Path], sort: Sort | None
) -> dict[Sort, list[tuple[Mapping[str, Any], str]]]:
    """Return the documents of files by their sort, each with its file. Fields that a file leaves
    out of an asset stay as they are stored, since rows declare variables, too."""
    from alerting.usecases.ingestion.asset_import import with_stored_fields

    by_sort: dict[Sort, list[tuple[Mapping[str, Any], str]]] = {}
    for document, file in read_documents(files):
        word = sort_of(document, sort)
        whole = with_stored_fields(p, document) if word == "asset" else document
        by_sort.setdefault(word, []).append((whole, file))
    return by_sort


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
    names elsewhere. Raises UserError if there are none, too many, or too large ones, or a folder
    that cannot be read."""
    seen = size = 0
    for below, folders, names in os.walk(folder, onerror=_refuse_unread):
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


def _refuse_unread(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from error
