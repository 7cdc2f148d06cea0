"""File of the lines that an import rejects."""

import csv
from pathlib import Path
from types import TracebackType
from typing import Self

from alerting.definitions.faults import UserError
from alerting.definitions.wording.clean_text import spreadsheet_text
from alerting.readings.inference import BadLine

HEADER = ("line", "column", "reason", "original")


def rejects_path(path: Path) -> Path:
    """Return the default path of the rejects file: beside the file."""
    return path.with_name(path.name + ".rejects.csv")


class RejectsFile:
    """CSV file of line, column, reason and original line, rewritten by each import; an import
    without rejects leaves none. No text in it is a formula to a spreadsheet program.

    Opening it raises UserError if it cannot be written, so that the import fails before its first
    write.
    """

    def __init__(self, path: Path, source: Path) -> None:
        if path.resolve() == source.resolve():
            raise UserError(
                f"{path} is the file to import, so it cannot hold the rejects; name another file "
                "with --rejects"
            )
        self.path = path
        self.count = 0
        try:
            self._file = path.open("w", newline="", encoding="utf-8")
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if not self.count:
            self.path.unlink()
