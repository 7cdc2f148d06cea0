"""Bodies and answers about readings. Made by `python -m tools.client`."""

from typing import Any, Literal, NotRequired, TypedDict

BadCellView = TypedDict(
    "BadCellView",
    {
        "text": str,
        "count": int,
    },
)
"""A text that is no value of its column, and how often it stands there."""

ChoicesBody = TypedDict(
    "ChoicesBody",
    {
        "asset": NotRequired[str | None],
        "asset_column": NotRequired[str | None],
        "time": NotRequired[str | None],
        "time_format": NotRequired[str | None],
        "zone": NotRequired[str | None],
        "separator": NotRequired[str | None],
        "decimal": NotRequired[Literal[".", ","] | None],
        "encoding": NotRequired[str | None],
        "rename": NotRequired[dict[str, str]],
        "only": NotRequired[list[str]],
        "missing": NotRequired[list[str]],
        "duplicates": NotRequired[Literal["refuse", "last", "mean"]],
        "skip_bad": NotRequired[bool],
        "what": NotRequired[Literal["readings", "events"] | None],
        "event_type": NotRequired[str | None],
        "type_column": NotRequired[str | None],
        "end_column": NotRequired[str | None],
        "duration": NotRequired[Literal["instant", "lasting"] | None],
        "take_back": NotRequired[bool],
    },
)
"""How a file is read, where it is left open or recognised wrongly; as the options of `alerting
import readings`."""

ColumnView = TypedDict(
    "ColumnView",
    {
        "title": str,
        "name": str,
        "type": str,
        "unit": str | None,
        "new": bool,
        "values": int,
        "missing": int,
        "bad": int,
        "bad_cells": list[BadCellView],
        "first_bad": list[str],
    },
)
"""A column and its variable."""

RefusedLine = TypedDict(
    "RefusedLine",
    {
        "line": int,
        "reason": str,
    },
)
"""A row that was not stored."""

DeliveryView = TypedDict(
    "DeliveryView",
    {
        "rows": int,
        "new": int,
        "refused": int,
        "lines": list[RefusedLine],
    },
)
"""The answer to a delivery."""

EventBody = TypedDict(
    "EventBody",
    {
        "ts": str | float,
        "asset": str,
        "type": str,
        "end": NotRequired[str | float | None],
    },
)
"""A row of events. Further fields are attributes."""

FormView = TypedDict(
    "FormView",
    {
        "encoding": str | None,
        "separator": str | None,
        "decimal": str | None,
        "time_columns": list[str],
        "time_format": str | None,
        "zone": str | None,
        "zone_from": str | None,
    },
)
"""The format of a file."""

RowView = TypedDict(
    "RowView",
    {
        "asset": str,
        "ts": str,
        "type": NotRequired[str | None],
        "end": NotRequired[str | None],
        "values": dict[str, Any],
    },
)
"""A row as it will be stored. Of an event `ts` is its start, and `values` are attributes."""

UnderstoodView = TypedDict(
    "UnderstoodView",
    {
        "what": NotRequired[Literal["readings", "events"]],
        "event_types": NotRequired[dict[str, str]],
        "form": FormView,
        "lines": int,
        "rows": int,
        "first": str | None,
        "last": str | None,
        "assets": list[str],
        "number_of_assets": int,
        "new_assets": list[str],
        "number_of_new_assets": int,
        "columns": list[ColumnView],
        "number_of_columns": int,
        "notes": list[str],
        "removes": NotRequired[int | None],
    },
)
"""The recognised content of a file. Of assets, the first 50; of columns, the first 500.
`event_types`: of events, `instant` or `lasting` by type."""

WrittenView = TypedDict(
    "WrittenView",
    {
        "what": NotRequired[Literal["readings", "events"]],
        "rows": int,
        "new": int,
        "rejected": int,
        "repeated": int,
        "first": str | None,
        "last": str | None,
        "assets": list[str],
        "number_of_assets": int,
        "created": list[str],
        "variables": dict[str, str],
        "event_types": NotRequired[dict[str, str]],
        "late": int,
        "removed": NotRequired[int],
        "still_stored": NotRequired[int],
        "bad_quality": int,
        "uncertain": int,
        "notes": list[str],
    },
)
"""Counts of a written import. `late`: rows that came after their time was evaluated; if rows
were to be removed, those that were stored exactly so and were `removed`, or are
`still_stored`, such as archived ones."""

ImportView = TypedDict(
    "ImportView",
    {
        "id": str,
        "name": str,
        "actor": str,
        "created_at": str,
        "ended_at": str | None,
        "bytes": int,
        "state": Literal["arriving", "checking", "refused", "checked", "writing", "done", "failed"]
        | Literal["interrupted"],
        "step": str | None,
        "progress": float,
        "choices": ChoicesBody,
        "fault": str | None,
        "asks": list[str],
        "understood": UnderstoodView | None,
        "preview": list[RowView],
        "result": WrittenView | None,
        "rejects": str | None,
    },
)
"""An import of a file."""

ReadingBody = TypedDict(
    "ReadingBody",
    {
        "ts": str | float,
        "asset": str,
        "values": dict[str, float | str | bool | None],
        "quality": NotRequired[str | dict[str, str] | None],
    },
)
"""A row of readings. With a source of its own mapping, the fields are those that its document
names."""
