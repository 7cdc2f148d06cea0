"""The model of learned limits: the quantiles of each asset with the readings behind them, as one file of plain numbers."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alerting.definitions.assets import Asset
from alerting.definitions.wording.language import template
from alerting.detection.learned_limits import Group, GroupLimit, LimitTable, least_readings
from alerting.kinds.normal_model import NormalModel, NoteTable, read_header
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
            rows = [
                (table.within(group) or "all", f"{one.readings}", "too few" if one.limit is None else f"{one.limit:.6g} {unit}")
                for group, one in sorted(table.groups.items(), key=_position)
            ]
            yield NoteTable(f"{asset.name}: {variable}, quantile {table.quantile:g}", _COLUMNS, rows[:_MOST_ROWS])


def _position(item: tuple[Group, GroupLimit]) -> list[tuple[int, str]]:
    """Return where a group stands in a list: names in order, hours by their number."""
    return [(len(name) if name.isdigit() else 0, name) for name in item[0]]


def _describe(variable: str, table: LimitTable) -> str:
    whole, least = table.groups[()], least_readings(table.quantile)
    period = f"{table.start:%Y-%m-%d %H:%M} to {table.end:%Y-%m-%d %H:%M} UTC"
    found = "too few" if whole.limit is None else f"{whole.limit:.6g}"
    text = f"{variable}, quantile {table.quantile:g} of {whole.readings} readings, {period}: {found}"
    for depth in range(1, len(table.by) + 1):
        of_depth = [one for group, one in table.groups.items() if len(group) == depth]
        limits = [one.limit for one in of_depth if one.limit is not None]
        few = len(of_depth) - len(limits)
        span = f", {min(limits):.6g} to {max(limits):.6g}" if limits else ""
        coarser = f"; {few} more with fewer than {least} readings take the coarser limit" if few else ""
        text += f"; {len(limits)} groups of {' and '.join(table.by[:depth]).replace('_', ' ')}{span}{coarser}"
    return text


@dataclass(frozen=True)
class LearnedLimitsModel(NormalModel[FittedLimits]):
    """The learned limits by asset."""

    @property
    def hash(self) -> str:
        """Return the hash of all numbers that decide an evaluation."""
        settings = [self.family, self.training_cutoff.isoformat(), {name: _tables(one) for name, one in self.by_asset.items()}]
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def to_files(model: LearnedLimitsModel) -> Files:
    """Return the file of a model."""
    assets = {
        name: {"limits": _tables(fitted), "left_out": dict(fitted.left_out)} for name, fitted in sorted(model.by_asset.items())
    }
    return {FILE: json.dumps({**model.header, "assets": assets}, sort_keys=True, indent=1).encode()}


def from_files(files: Files) -> LearnedLimitsModel:
    """Return the model of its file."""
    document: dict[str, Any] = json.loads(files[FILE])
    fitted = {name: FittedLimits(_read(one["limits"]), one["left_out"]) for name, one in document["assets"].items()}
    return LearnedLimitsModel(**read_header(document), by_asset=fitted)


def _tables(fitted: FittedLimits) -> dict[str, Any]:
    return {
        key: {
            "quantile": table.quantile,
            "by": list(table.by),
            "from": table.start.isoformat(),
            "to": table.end.isoformat(),
            "groups": [
                {"group": list(group), "readings": n, "limit": limit} for group, (n, limit) in sorted(table.groups.items())
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
            {tuple(group["group"]): GroupLimit(group["readings"], group["limit"]) for group in one["groups"]},
        )
        for key, one in document.items()
    }
