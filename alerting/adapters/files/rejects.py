"""File of the lines that an import rejects."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from alerting.definitions.faults import UserError
from alerting.definitions.wording.clean_text import spreadsheet_text
from alerting.definitions.wording.language import (
    Language,
    Translatable,
    read_template,
    template,
    template_document,
)
from alerting.readings.inference import BadLine

HEADER = ("line", "column", "reason", "original")
_TITLES = (
    template("Line of the file"),
    template("Column"),
    template("Reason"),
    template("Line as it was"),
)
"""Titles of the columns for a reader in a browser."""


def rejects_path(path: Path) -> Path:
    """Return the default path of the rejects file: beside the file."""
    return path.with_name(path.name + ".rejects.csv")


class RejectsFile:
    """CSV file of line, column, reason and original line, rewritten by each import; an import
    without rejects leaves none. No text in it is a formula to a spreadsheet program.

    `templates`: a file beside it that holds the reasons for other languages, one a line.

    Opening it raises UserError if it cannot be written, so that the import fails before its first
    write.
    """

    def __init__(self, path: Path, source: Path, templates: Path | None = None) -> None:
        if path.resolve() == source.resolve():
            raise UserError(
                f"{path} is the file to import, so it cannot hold the rejects; name another file "
                "with --rejects"
            )
        self.path = path
        self.count = 0
        self._templates: TextIO | None = None
        try:
            self._file = path.open("w", newline="", encoding="utf-8")
            if templates is not None:
                self._templates = templates.open("w", encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"the rejects file {path} cannot be written ({error.strerror}); name another with "
                "--rejects"
            ) from error
        self._writer = csv.writer(self._file)
        self._writer.writerow(HEADER)

    def __call__(self, line: BadLine) -> None:
        texts = (line.column or "", line.reason, line.original)
        self._writer.writerow((line.line, *map(spreadsheet_text, texts)))
        self.count += 1
        if self._templates is not None:
            reason = line.reason
            made = template_document(reason) if isinstance(reason, Translatable) else None
            self._templates.write(f"{json.dumps(made)}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if self._templates is not None:
            self._templates.close()
        if not self.count:
            self.path.unlink()


def translated_rejects(path: Path, templates: Path, language: Language) -> Iterator[str]:
    """Yield the lines of a rejects file with titles and reasons in another language; a reason
    without a template in English."""
    with path.open(newline="", encoding="utf-8") as stored:
        rows = csv.reader(stored)
        next(rows, None)
        yield _csv_line([language.translate(title) for title in _TITLES])
        lines = templates.read_text(encoding="utf-8").splitlines() if templates.exists() else ()
        for row, made in zip_longest(rows, lines, fillvalue="null"):
            if isinstance(row, str):  # the file is shorter than that of the templates
                return
            document = json.loads(made)
            if document is not None:
                row[2] = language.translate(read_template(document, row[2]))
            yield _csv_line(row)


def _csv_line(row: Sequence[str]) -> str:
    line = io.StringIO(newline="")
    csv.writer(line).writerow(map(spreadsheet_text, row))
    return line.getvalue()
