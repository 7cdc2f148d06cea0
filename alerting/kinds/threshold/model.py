"""The model of learned limits: quantiles by asset, as one file of plain numbers."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerting.definitions.assets import Asset
from alerting.definitions.wording.language import template
from alerting.detection.learned_limits import Group, GroupLimit, LimitTable, least_readings
from alerting.kinds.normal_model import NormalModel, read_header
from alerting.kinds.protocol.training import NoteTable
from alerting.ports import Files

FILE = "learned_limits.json"
_COLUMNS = (template("Group"), template("Readings"), template("Limit"))
_MOST_ROWS = 200  # of one limit, shown to people


@dataclass(frozen=True)
class FittedLimits:
    """The learned limits of one asset, by `limits.key_of`. `left_out`: readings by reason."""

    tables: Mapping[str, LimitTable]
    left_out: Mapping[str, int]

    def describe(self, asset: str) -> Iterable[str]:
        """Yield sentences on the limits and on what was left out."""
        for key, table in sorted(self.tables.items()):
            yield f"{asset}: {_describe(json.loads(key)[0], table)}"
        for reason, count in self.left_out.items():
            if count:
                yield f"{asset}: {count} readings left out: {reason}"

    def list_groups(self, asset: Asset) -> Iterable[NoteTable]:
        """Yield the limits by group, a table for each limit that has groups."""
        for key, table in sorted(self.tables.items()):
            if not table.by:
                continue
            variable = json.loads(key)[0]
            declared = asset.variables.get(variable)
            unit = (declared.unit if declared else None) or ""
            yield NoteTable(
                f"{asset.name}: {variable}, quantile {table.quantile:g}",
                _COLUMNS,
                [
                    (
                        table.name_group(group) or "all",
                        f"{one.readings}",
                        "too few" if one.limit is None else f"{one.limit:.6g} {unit}",
                    )
                    for group, one in sorted(table.groups.items(), key=_position)
                ][:_MOST_ROWS],
            )


def _position(item: tuple[Group, GroupLimit]) -> list[tuple[int, str]]:
    """Return where a group stands in a list: names in order, hours by their number."""
    return [(len(name) if name.isdigit() else 0, name) for name in item[0]]


def _describe(variable: str, table: LimitTable) -> str:
    whole = table.groups[()]
    least = least_readings(table.quantile)
    period = f"{table.start:%Y-%m-%d %H:%M} to {table.end:%Y-%m-%d %H:%M} UTC"
    found = "too few" if whole.limit is None else f"{whole.limit:.6g}"
    text = (
        f"{variable}, quantile {table.quantile:g} of {whole.readings} readings, {period}: {found}"
    )
    for depth in range(1, len(table.by) + 1):
        limits = [one.limit for group, one in table.groups.items() if len(group) == depth]
        text += (
            f"; {_describe_groups(' and '.join(table.by[:depth]).replace('_', ' '), limits, least)}"
        )
    return text


def _describe_groups(by: str, limits: Sequence[float | None], least: int) -> str:
    """Return how many groups of one depth have a limit of their own, and in which range."""
    if not limits:
        return f"no reading with a known {by}: the coarser limit is taken"
    own = [limit for limit in limits if limit is not None]
    few = len(limits) - len(own)
    if not own:
        which = f"all {few} groups of {by} have" if few > 1 else f"the only group of {by} has"
        return f"{which} fewer than {least} readings: the coarser limit is taken"
    groups = f"{len(own)} group{'s' if len(own) > 1 else ''} of {by}"
    span = f"{min(own):.6g} to {max(own):.6g}" if len(own) > 1 else f"{own[0]:.6g}"
    rest = (
        f"; {few} more with fewer than {least} readings: the coarser limit is taken" if few else ""
    )
    return f"{groups}: {span}{rest}"


@dataclass(frozen=True)
class LearnedLimitsModel(NormalModel[FittedLimits]):
    """The learned limits by asset."""

    @property
    def hash(self) -> str:
        """Return the hash of all numbers that decide an evaluation."""
        settings = [
            self.family,
            self.training_cutoff.isoformat(),
            {name: _tables(one) for name, one in self.by_asset.items()},
        ]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def to_files(model: LearnedLimitsModel) -> Files:
    """Return the file of a model."""
    assets = {
        name: {"limits": _tables(fitted), "left_out": dict(fitted.left_out)}
        for name, fitted in sorted(model.by_asset.items())
    }
    return {FILE: json.dumps({**model.header, "assets": assets}, sort_keys=True, indent=1).encode()}


def from_files(files: Files) -> LearnedLimitsModel:
    """Return the model of its file."""
    document: dict[str, Any] = json.loads(files[FILE])
    fitted = {
        name: FittedLimits(_read(one["limits"]), one["left_out"])
        for name, one in document["assets"].items()
    }
    return LearnedLimitsModel(**read_header(document), by_asset=fitted)


def _tables(fitted: FittedLimits) -> dict[str, Any]:
    return {
        key: {
            "quantile": table.quantile,
            "by": list(table.by),
            "from": table.start.isoformat(),
            "to": table.end.isoformat(),
            "groups": [
                {"group": list(group), "readings": n, "limit": limit}
                for group, (n, limit) in sorted(table.groups.items())
            ],
        }
        for key, table in fitted.tables.items()
    }


def _read(document: Mapping[str, Any]) -> dict[str, LimitTable]:
    return {
        key: LimitTable(
            one["quantile"],
            tuple(one["by"]),
            datetime.fromisoformat(one["from"]),
            datetime.fromisoformat(one["to"]),
            {
                tuple(group["group"]): GroupLimit(group["readings"], group["limit"])
                for group in one["groups"]
            },
        )
        for key, one in document.items()
    }
