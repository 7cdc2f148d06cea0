"""Faults that pydantic finds, as sentences for process engineers."""

from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from alerting.definitions.faults import (
    Fault,
    format_duration,
    legible,
    name_hint,
    shown,
    suggest_number,
)
from alerting.definitions.wording.language import (
    ENGLISH,
    Translatable,
    count_in_english,
    join_with_or,
)

_SHOWN = 40
MessageAndHint = tuple[str, str]
NAME_RULE = "letters, digits, - and _ only"


def message_of(error: Mapping[str, Any]) -> MessageAndHint:
    """Return message and hint for an error of pydantic: the fault, and what to write (or "")."""
    kind = str(error["type"])
    value = error.get("input")
    context = error.get("ctx") or {}
    if kind in ("value_error", "assertion_error"):
        raised = context.get("error")
        if raised is not None and raised.args and isinstance(raised.args[0], Translatable):
            return raised.args[0], ""
        written = error["msg"]  # of this module's own errors, which are not pydantic's
        if isinstance(written, Translatable):
            return written, ""
        return str(written).removeprefix("Value error, ").removeprefix("Assertion failed, "), ""
    for kinds, message in _MESSAGES:
        if kind in kinds:
            return message(value, context)
    return f"{_as_written(value)} cannot stand here", ""


def fault_of(error: Mapping[str, Any]) -> Fault:
    """Return one error of pydantic as a fault with its path."""
    return Fault(".".join(str(part) for part in error["loc"]) or "document", *message_of(error))


NO_MEMBERS: Mapping[str, Iterable[str]] = MappingProxyType({})


def model_faults(
    errors: Iterable[Mapping[str, Any]],
    fields: Iterable[str] = (),
    members: Mapping[str, Iterable[str]] = NO_MEMBERS,
    rule: str = NAME_RULE,
) -> list[Fault]:
    """Return pydantic's errors as faults. `fields`: names of fields that the document may have;
    `members`: by field with members, the names of their fields; `rule`: for names."""
    return [_model_fault(error, fields, members, rule) for error in _merge_alternatives(errors)]


def _merge_alternatives(errors: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return pydantic's errors with one error for each attribute, instead of one for each type that
    it may have."""
    by_place: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for error in errors:
        place = tuple(error["loc"])
        value = error.get("input")
        changed = {}
        if len(place) == 3 and place[0] == "attributes" and place[2] != "[key]":
            if not isinstance(value, str | float):
                message = f"should be text, a number, or true or false, not {_as_written(value)}"
                changed = {"type": "value_error", "msg": message}
            elif place[2] == "bool" or (place[2] == "float") != isinstance(value, float):
                continue
            place = place[:2]
        merged = {**error, **changed, "loc": place}
        by_place.setdefault((*place, merged["type"]), merged)
    return [*by_place.values()]


def _model_fault(
    error: Mapping[str, Any],
    fields: Iterable[str],
    members: Mapping[str, Iterable[str]],
    rule: str,
) -> Fault:
    path = [str(part) for part in error["loc"] if part != "[key]"]
    dotted = ".".join(path) or "document"
    if error["type"] == "extra_forbidden":
        message, hint = message_of(error)
        if len(path) == 1 or path[0] in members:
            message = "is not a field"
            hint = name_hint(path[-1], fields if len(path) == 1 else members[path[0]], "fields")
        return Fault(dotted, message, hint)
    if error["type"] == "string_pattern_mismatch":
        return name_fault(dotted, error["input"], rule)
    return Fault(dotted, *message_of(error))


class IllegalName(Fault):
    """The fault of a text that cannot be a name."""


def name_fault(path: str, name: Any, rule: str = NAME_RULE) -> IllegalName:
    """Return the fault that the text at a path is not a legal name, with the rule of names
    there."""
    return IllegalName(path, f"{_as_written(name)} is not a legal name", rule)


def _as_written(value: Any) -> str:
    try:
        return legible(_quote_value(value), _SHOWN)
    except (ValueError, RecursionError):
        return shown(value)


def _quote_value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: …" for key in value) + "}" if value else "{}"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, str) else str(value)


def _list(value: Any, _: Mapping[str, Any]) -> MessageAndHint:
    example = (
        value
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value)
        else "one, two"
    )
    return (
        f"should be a list, not {_as_written(value)}",
        f"write it in brackets: [{str(example)[:_SHOWN]}]",
    )


def _number(value: Any, _: Mapping[str, Any]) -> MessageAndHint:
    compact = suggest_number(value) if isinstance(value, str) else ""
    message = f"should be a number, not {_as_written(value)}"
    return message, f"write {compact}, with a point and without quotes" if compact else ""


def _text(value: Any, _: Mapping[str, Any]) -> MessageAndHint:
    written = _as_written(value)
    hint = f'put it in quotes: "{written}"' if isinstance(value, int | float) else ""
    if isinstance(value, bool):
        hint += "; YAML reads yes, no, on and off as true or false"
    return f"should be text, not {written}", hint


def _choice(value: Any, context: Mapping[str, Any]) -> MessageAndHint:
    quoted = [
        choice.strip() for choice in str(context.get("expected")).replace(" or ", ",").split(",")
    ]
    choices = [choice.strip("'") for choice in quoted]
    close = name_hint(value, choices, "") if isinstance(value, str) else ""
    message = ENGLISH.say(
        "should be {choices}, not {value}",
        choices=join_with_or(*filter(None, (", ".join(quoted[:-1]), quoted[-1]))),
        value=_as_written(value),
    )
    return message, close if close.startswith("did you") else ""


def _bound(text: str, key: str) -> Callable[[Any, Mapping[str, Any]], MessageAndHint]:
    def describe(value: Any, context: Mapping[str, Any]) -> MessageAndHint:
        limit = context.get(key)
        as_read = format_duration(limit) if isinstance(limit, timedelta) else f"{limit}"
        written = format_duration(value) if isinstance(value, timedelta) else _as_written(value)
        return ENGLISH.say(text, limit=as_read, value=written), ""

    return describe


def _too_short(_: Any, context: Mapping[str, Any]) -> MessageAndHint:
    count = int(context.get("min_length") or 1)
    return count_in_english(
        "should have at least {number} character", "should have at least {number} characters", count
    ), ""


def _too_long(text: Any, context: Mapping[str, Any]) -> MessageAndHint:
    return (
        f"has {len(text)} characters; at most {int(context.get('max_length') or 0)} are allowed"
    ), ""


def _too_few(_: Any, context: Mapping[str, Any]) -> MessageAndHint:
    least = context.get("min_length")
    count = context.get("actual_length", 0)
    return (f"has only {count}" if count else "is empty"), f"at least {least!s} is needed"


def _too_many(_: Any, context: Mapping[str, Any]) -> MessageAndHint:
    most = str(context.get("max_length"))
    count = context.get("actual_length") or "too many"
    return f"has {count} entries; at most {most} are allowed", ""


def _message(text: str, hint: str = "") -> Callable[[Any, Mapping[str, Any]], MessageAndHint]:
    """Return a message that quotes the value which was given."""
    return lambda value, _: (ENGLISH.say(text, value=_as_written(value)), hint)


_MESSAGES: tuple[
    tuple[tuple[str, ...], Callable[[Any, Mapping[str, Any]], MessageAndHint]], ...
] = (
    (("missing", "missing_argument"), _message("is missing")),
    (("extra_forbidden",), _message("is not a field")),
    (("tuple_type", "list_type", "set_type", "frozen_set_type", "iterable_type"), _list),
    (
        ("dict_type", "model_type", "model_attributes_type", "dataclass_type", "mapping_type"),
        _message(
            "should be a group of fields, not {value}",
            "write for example {field: value}, or indent its fields below it",
        ),
    ),
    (("float_type", "float_parsing", "decimal_type", "decimal_parsing", "complex_type"), _number),
    (
        ("int_type", "int_parsing", "int_from_float"),
        _message("should be a whole number, not {value}"),
    ),
    (("int_parsing_size",), _message("has too many digits")),
    (("finite_number",), _message("should be a finite number")),
    (("bool_type", "bool_parsing"), _message("should be true or false, not {value}")),
    (("string_type", "string_sub_type"), _text),
    (
        ("string_unicode", "bytes_invalid_encoding"),
        _message("is not legible text: it holds half a character"),
    ),
    (("string_too_short",), _too_short),
    (("string_too_long",), _too_long),
    (
        ("string_pattern_mismatch",),
        _message("{value} has characters that are not allowed here"),
    ),
    (("literal_error", "enum"), _choice),
    (("greater_than",), _bound("should be greater than {limit}, not {value}", "gt")),
    (("greater_than_equal",), _bound("should be at least {limit}, not {value}", "ge")),
    (("less_than",), _bound("should be less than {limit}, not {value}", "lt")),
    (("less_than_equal",), _bound("should be at most {limit}, not {value}", "le")),
    (
        ("multiple_of",),
        _bound("should be a multiple of {limit}, not {value}", "multiple_of"),
    ),
    (("too_short",), _too_few),
    (("too_long",), _too_many),
    (
        ("timezone_aware", "timezone_offset"),
        _message(
            "{value} has no time zone",
            "add Z for UTC or an offset such as +01:00: 2026-01-31T06:00+01:00",
        ),
    ),
    (
        (
            "datetime_type",
            "datetime_parsing",
            "datetime_object_invalid",
            "datetime_from_date_parsing",
            "datetime_past",
            "date_type",
            "date_parsing",
            "date_from_datetime_parsing",
            "datetime_future",
        ),
        _message("{value} is not a time", "write for example 2026-01-31T06:00Z"),
    ),
    (
        ("time_type", "time_parsing"),
        _message("{value} is not a time of day", "write for example 06:00"),
    ),
    (
        ("time_delta_type", "time_delta_parsing"),
        _message("{value} is not a duration", "write for example 30m, 1h30m or 5d"),
    ),
    (("none_required",), _message("should be left out")),
    (
        ("invalid_key",),
        _message("{value} cannot be the name of a field", "names are text"),
    ),
    (("recursion_loop",), _message("refers to itself")),
)
