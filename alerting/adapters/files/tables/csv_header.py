"""The header and the first records of a CSV file, and the separator that they show."""

from typing import NamedTuple

from alerting.adapters.files.tables.text import Block

_HEADER_BYTES = 5 << 20
_MOST = 0.5  # least share of lines with the header's number of fields


def header_record(block: Block, skipped: int) -> tuple[str, int]:
    """Return the first record behind the skipped lines, without line break, and its lines."""
    data = block.data[:_HEADER_BYTES]
    start = _end_of_lines(data, skipped)
    record = data[start : _end_of_record(data, start, 1)]
    lines = record.count(b"\n") + (not record.endswith(b"\n"))
    return record.decode("utf-8", "ignore").removesuffix("\n").rstrip("\r"), lines


class FittingSeparator(NamedTuple):
    """A separator; `fits` if most first lines have by it the header's number of fields."""

    separator: str
    fits: bool


def fit_separator(
    header: str, first: Block, skipped: int, separator: str | None
) -> FittingSeparator:
    """Return the separator, or that by which most first lines have the header's number of fields,
    and whether they have."""
    data = first.data[:_HEADER_BYTES]
    start = _end_of_lines(data, skipped)
    texts = data[start : _end_of_lines(data, 20, start)].decode("utf-8", "ignore").split("\n")
    plain = outside_quotes(header)
    probes = [outside_quotes(text) for text in texts if text.strip() and text.count('"') % 2 == 0]

    def fitness(separator: str) -> tuple[bool, float, int]:
        fields = plain.count(separator)
        fitting = sum(probe.count(separator) == fields for probe in probes)
        return bool(fields), fitting / len(probes) if probes else 1.0, fields

    best = separator or max(",;\t|", key=fitness)
    has_fields, share, _ = fitness(best)
    return FittingSeparator(best, has_fields and share >= _MOST)


def outside_quotes(text: str) -> str:
    """Return the text without its quoted parts."""
    return "".join(text.split('"')[::2])


def without_lines(block: Block, lines: int) -> Block:
    """Return the block without its first lines."""
    return Block(
        block.first_line + lines,
        block.data[_end_of_lines(block.data, lines) :],
        block.lines - lines,
    )


def first_records(block: Block, lines: int) -> Block:
    """Return the first lines of a block, extended while a quotation mark is open at their end."""
    data = block.data[: _end_of_record(block.data, 0, lines)]
    return Block(block.first_line, data, data.count(b"\n") + (not data.endswith(b"\n")))


def _end_of_record(data: bytes, start: int, lines: int) -> int:
    """Return the end of this many lines, or the first later one that leaves no quotation open."""
    end = _end_of_lines(data, lines, start)
    is_open = data.count(b'"', start, end) % 2
    while is_open and end < len(data):
        following = _end_of_lines(data, 1, end)
        is_open ^= data.count(b'"', end, following) % 2
        end = following
    return end


def _end_of_lines(data: bytes, lines: int, start: int = 0) -> int:
    for _ in range(lines):
        start = data.find(b"\n", start) + 1 or len(data)
    return start
