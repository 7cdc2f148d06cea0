"""How the cells of each column are written, where they are no plain numbers: found while a file is
checked, and used to read them."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from alerting.adapters.files import cells as cell
from alerting.adapters.files.cells import Cells
from alerting.adapters.files.recognition import NumberForm, Sample
from alerting.deferred import pa, pc
from alerting.definitions.asset_documents import VariableType
from alerting.definitions.faults import UserError, shown
from alerting.readings.foreign_columns import (
    ColumnProfile,
    NumberWriting,
    Units,
    find_writing,
    split_title,
    unit_parts,
)


class WrittenCells:
    """The writing of each column of a table. `types`: those that the user stated, by title."""

    def __init__(self, path: Path, sample: Sample, types: Mapping[str, VariableType]) -> None:
        self._path = path
        self._sample = sample
        self._types = types
        self.writings: dict[str, NumberWriting] = {}
        """Those of columns whose cells are not read as they are written, by title."""
        self._switches: set[str] = set()
        self._identifiers: dict[str, str | None] = {}

    def new_columns(self, names: Mapping[str, str]) -> dict[str, ColumnProfile]:
        """Return the profiles of the columns of these names by title, before the first row."""
        if not self._identifiers:
            self._identifiers = {t: cell.why_identifier(self._sample[t]) for t in names}
        return {
            title: ColumnProfile(
                title,
                name,
                stated=self._types.get(title),
                identifier=self._identifiers[title],
                writing=self.writings.get(title),
            )
            for title, name in names.items()
        }

    def revise(self, columns: Iterable[ColumnProfile], units: Units) -> bool:
        """Return whether the columns show another writing, so that the file must be read again.

        `units`: of the variables that there are. Raises UserError if a title and its cells state
        units of different quantities.
        """
        revised = [self._revise(column, units) for column in columns]
        return any(revised)

    def titles(self, titles: Iterable[str]) -> dict[str, str]:
        """Return each title by the title as if it stated the unit that its cells state."""
        units = {title: writing.unit for title, writing in self.writings.items()}
        return {
            f"{t} [{units[t]}]" if units.get(t) and not split_title(t).unit else t: t
            for t in titles
        }

    def plain(self, title: str, cells: Cells, form: NumberForm) -> Cells:
        """Return cleaned cells with plain numbers, and without words for no value beside two."""
        if title in self._switches:
            return pc.if_else(pa.array(cell.states_no_value(cells)), None, cells)
        writing = self.writings.get(title)
        return cell.plain_cells(cells, writing, form.decimal, form.thousands) if writing else cells

    def _revise(self, column: ColumnProfile, units: Units) -> bool:
        title = column.title
        writing: NumberWriting | None = None
        if column.stated == "category":
            return False
        if column.is_factor_after_all():
            writing = NumberWriting(has_factors=True)
        elif not column.writing and column.common_texts and title not in self._switches:
            if not column.numbers and cell.are_switch_states(column.common_texts):
                self._switches.add(title)
                return True
            writing = find_writing(column, units.get(column.name, ()))
            stated = split_title(title).unit
            is_other = writing and writing.unit and writing.power(stated or "") is None
            if writing and is_other and unit_parts(stated or ""):
                text = next(iter(column.common_texts))
                raise UserError(
                    f"{self._path!s}: the title of column {shown(title)} states the unit {stated}, "
                    f"but its cells state {writing.unit} ({shown(text)}); correct one of them, or "
                    "leave the column out with --only"
                )
        if writing is not None:
            self.writings[title] = writing
        return writing is not None
