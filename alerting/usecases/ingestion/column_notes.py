"""Notes on the columns of a file, as sentences: what was assumed of their numbers, their types and
their missing values, and the option that changes it."""

from collections.abc import Collection, Iterator
from datetime import timedelta

from alerting.definitions.asset_documents import VariableType
from alerting.definitions.faults import format_duration, shown
from alerting.readings.foreign_columns import (
    ColumnProfile,
    NumberWriting,
    is_written_number,
    split_title,
)
from alerting.readings.history import doubtful_texts


def describe_column(
    column: ColumnProfile, kind: VariableType, *, is_new: bool, titles: Collection[str] = ()
) -> Iterator[str]:
    """Yield notes on a column that becomes a variable of this type. `is_new`: it is not declared
    yet, so that its type may be another. `titles`: of all columns."""
    if column.every_ms is not None:
        every = format_duration(timedelta(milliseconds=column.every_ms))
        yield (
            f"column {shown(column.title)} has a value about every {every} only, like a "
            "laboratory: each value keeps its stamp and stays in force until the next one. If it "
            "becomes known later than that, give its delay, in the document of "
            f"its asset, variables: {f'{{{column.name}: {{delay: {every}}}}}'}"
        )
    name = f"column {shown(column.title)}"
    if kind == "number":
        yield from _number_notes(name, column)
    elif kind == "category" and is_new and not column.stated:
        yield from _category_notes(name, column, titles)


def type_option(title: str, kind: VariableType) -> str:
    """Return the option of the command that gives a column this type."""
    quote = '"' if "'" in title else "'"
    return f"--column-type {quote}{title}={kind}{quote}"


def _number_notes(name: str, column: ColumnProfile) -> Iterator[str]:
    """Yield how the numbers of a column were read, where that is an assumption."""
    if column.identifier and not column.stated:
        yield f"{name} is declared as a number, but its {column.identifier}"
    writing = column.writing
    if writing and writing.has_factors:
        factors = [
            f"{suffix} as {10 ** (writing.power(suffix) or 0):,} ({_times(count, 'cell')})"
            for suffix, count in column.suffixes.items()
            if writing.power(suffix)
        ]
        yield (
            f"{name}: letters behind its numbers are read as factors: {', '.join(factors)}; if "
            "they are units, put the unit into the title"
        )
    elif writing and writing.unit:
        yield from _unit_notes(name, column, writing)
    if column.in_brackets:
        cells = _times(column.in_brackets, "number")
        yield f"{name}: {cells} in brackets, read as negative"
    for text, count in column.suspicious_numbers():
        yield (
            f"{name}: {text} occurs {_times(count)} and lies far from all other values: add "
            f"--missing {shown(text) if ' ' in text else text} if it means no value"
        )


def _unit_notes(name: str, column: ColumnProfile, writing: NumberWriting) -> Iterator[str]:
    scaled = [
        f"{count:,} from {suffix}"
        for suffix, count in column.suffixes.items()
        if suffix and writing.power(suffix)
    ]
    if scaled:
        yield f"{name}: values are converted into {writing.unit}: {', '.join(scaled)}"
    if column.suffixes[""]:
        bare = _times(column.suffixes[""], "cell")
        yield f"{name}: {bare} without a unit, read in {writing.unit} as the others are"
    if writing.unit == "K" and split_title(column.title).unit is None:
        yield (
            f"{name}: K is read as kelvin; if it means thousands, export the numbers without "
            "formatting"
        )


def _times(count: int, noun: str = "time") -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _category_notes(name: str, column: ColumnProfile, titles: Collection[str]) -> Iterator[str]:
    """Yield why a column with digits is a category, and what may be no value in it."""
    texts = column.common_texts
    if words := doubtful_texts(texts):
        stems = [title for title in titles if title and title != column.title]
        stem = max((s for s in stems if column.title.startswith(s)), key=len, default="")
        suffix = column.title.removeprefix(stem)
        option = f"--quality-suffix {suffix!r}" if stem else f"--quality {column.title!r}"
        yield (
            f"{name} holds words of quality ({words}): if it states the quality of "
            f"{shown(stem) if stem else 'the values'}, add {option}"
        )
        return
    for text, count in column.no_values.items():
        if not any(word.lower() == "good" for word in texts):
            yield (
                f"{name}: {shown(text)} occurs {_times(count)} and is stored as a category: add "
                f"--missing {shown(text)} if it means no value"
            )
    with_digits = [text for text in texts if any(map(str.isdigit, text))]
    option = f". If they are quantities, add {type_option(column.title, 'number')}"
    if column.identifier:
        yield f"{name} becomes a category: its {column.identifier}{option}"
    elif 2 * sum(texts[text] for text in with_digits) > sum(texts.values()):
        could_be = option if all(map(is_written_number, with_digits)) else ""
        example = shown(with_digits[0])
        yield f"{name} becomes a category: texts such as {example} are no plain numbers{could_be}"
