"""Cells without a value, as `alerting import` tells them."""

import pytest

from alerting.cli.import_commands import bad_cells
from alerting.usecases.ingestion.imported_files import UnderstoodColumn

pytestmark = pytest.mark.fast


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("category", "3 x no value (3 x none), which count as missing"),
        ("number", "3 cells are not numbers (3 x none) and count as missing"),
    ],
)
def test_a_cell_without_a_value_is_told_by_the_type_of_its_column(kind, told):
    column = UnderstoodColumn("mode", "mode", kind, None, False, 9, 0, 3, {"none": 3})
    assert [*bad_cells([column])] == [f"column 'mode': {told}"]
