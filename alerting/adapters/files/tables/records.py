"""Parser of CSV records one by one, which gives the exact line of each faulty record."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alerting.definitions.wording.language import translatable

_OPEN_QUOTE = translatable("a quotation mark is opened and not closed on this line")


@dataclass(frozen=True)
class Record:
    """One record: index of its first line in the chunk, number of lines, fields, and its fault."""

    first: int
    count: int
    fields: Sequence[str]
    fault: str | None = None


def split_lines(data: bytes) -> list[str]:
    """Return the lines of a chunk, each with its line break."""
    texts = data.decode().split("\n")
    return [text + "\n" for text in (texts if texts[-1] else texts[:-1])]


def read_records(texts: Sequence[str], separator: str, width: int) -> Iterator[Record]:
    """Yield all records except blank lines. After a faulty record, reading resumes at the line
    after its first.

    (A stray quotation mark would otherwise absorb the lines up to the next one.)
    """
    start = 0
    while start < len(texts):
        for record in _until_faulty(texts, start, separator, width):
            start = record.first + record.count
            if record.fields or record.fault:
                yield record
        if start >= len(texts):
            return


def _until_faulty(texts: Sequence[str], start: int, separator: str, width: int) -> Iterator[Record]:
    reader = csv.reader(map(texts.__getitem__, range(start, len(texts))), delimiter=separator)
    first = start
    while first < len(texts):
        try:
            fields = next(reader, None)
        except csv.Error as error:
            open_quote = start + reader.line_num - first > 1
            yield Record(
                first,
                1,
                (),
                _OPEN_QUOTE
                if open_quote
                else translatable("cannot be split into fields: {error}", error=str(error)),
            )
            return
        if fields is None:
            return
        count = start + reader.line_num - first
        fault = _fault(fields, width, count, texts[first : first + count])
        if fault:
            yield Record(first, 1, fields, fault)
            return
        yield Record(first, count, fields)
        first += count


def _fault(fields: Sequence[str], width: int, count: int, texts: Sequence[str]) -> str | None:
    if count > 1 and (len(fields) != width or "".join(texts).count('"') % 2):
        return _OPEN_QUOTE
    if fields and len(fields) != width:
        return translatable(
            "{count} fields where the header names {width}", count=len(fields), width=width
        )
    return None
