"""Reader of assets in a file: YAML or JSON documents, or a table, a column per attribute."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alerting.adapters.files import cells as cell
from alerting.adapters.files.chunks import Chunk, column, magic
from alerting.adapters.files.find_form import DEFAULT_ASSET_COLUMN, open_table, value_names
from alerting.adapters.files.recognition import number_form, sample
from alerting.adapters.files.rows import EXAMPLES, bad_lines, profile_column, read_names
from alerting.adapters.yaml_documents import read_documents_of
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import FileForm
from alerting.readings.foreign_columns import BadLine, ColumnProfile
from alerting.usecases.ingestion.asset_import import GivenAsset, TextNames, Titles


def read_assets(
    path: Path, form: FileForm, stored: Callable[[], Titles] = dict
) -> list[GivenAsset]:
    """Return the assets of a file, read by its ending: YAML and JSON hold documents, every other
    file is a table.

    Documents: one, a list, or a map from name to the rest; one YAML file may hold several
    documents. Table: every column except that of the asset becomes an attribute; a text that is no
    name becomes the title of a new asset. `stored`: gives the titles of those that there are.
    Raises UserError, with line or position, if the content is unreadable.
    """
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        magic(path)
        return [
            GivenAsset(str(document.get("name", f"entry {i}")), document)
            for i, document in enumerate(read_documents_of(path), 1)
        ]
    return _table(path, form, TextNames("asset", form.asset_prefix, stored))


def _table(path: Path, form: FileForm, texts: TextNames) -> list[GivenAsset]:
    shape = FileForm(separator=form.separator, encoding=form.encoding, sheet=form.sheet)
    table = open_table(path, shape)
    key = column(table, form.asset_column or DEFAULT_ASSET_COLUMN, "--asset-column")
    names = value_names(table, [t for t in table.titles if t != key], form)
    numbers = number_form(sample(table), list(names), table.separator)
    numbers = replace(numbers, decimal=form.decimal) if form.decimal else numbers
    profiles = [ColumnProfile(title, name) for title, name in names.items()]
    index: dict[str, int] = {}
    parts: list[tuple[Chunk, Mapping[str, cell.Cells], npt.NDArray[np.int64]]] = []
    bad: list[BadLine] = []
    for chunk in table.chunks([key, *names]):
        cells = {title: cell.clean(values) for title, values in chunk.columns.items()}
        codes, checks = read_names(cells[key], key, texts, index)
        bad += bad_lines(chunk, checks, EXAMPLES - len(bad))
        parts.append((chunk, cells, codes))
        for profile in profiles:
            usable = np.ones(len(codes), dtype=bool)
            profile_column(profile, chunk, cells[profile.title], usable, numbers)
    if bad:
        raise UserError(
            f"{path} has faults, and nothing was written:"
            + "".join(f"\n  - {table.unit} {line}" for line in bad)
        )
    titles = texts.new_titles()
    named = [*index]
    given_assets = []
    for part, cleaned, codes in parts:
        columns: dict[str, list[Any]] = {}
        for profile in profiles:
            kind = profile.attribute_type()
            if kind:
                written = cleaned[profile.title]
                values, _ = cell.values(written, kind, numbers.decimal, numbers.thousands)
                columns[profile.name] = values.tolist()
        for row, code in enumerate(codes.tolist()):
            name = named[code]
            by_key = {key: column[row] for key, column in columns.items()}
            attributes = {key: value for key, value in by_key.items() if value is not None}
            title = {"title": titles[name]} if name in titles else {}
            where = f"{table.unit} {part.lines[row]} ({name})"
            document = {"name": name, **title, "attributes": attributes}
            given_assets.append(GivenAsset(where, document))
    if not given_assets:
        raise UserError(f"{path} has a header but no lines; nothing was written")
    return given_assets
