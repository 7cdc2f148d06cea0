"""Names and types of the variables of a file's columns: those of variables that there are, else
derived from the titles."""

import pytest

from alerting.adapters.files.events import EventColumns, EventsFile
from alerting.adapters.files.rows import Layout
from alerting.definitions.assets import Asset, Variable
from alerting.definitions.faults import UserError
from alerting.usecases.ingestion.tables import check_events
from tests.helpers.import_folder import NOW, Folder


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


# Names of variables that there are


OLD = "ts;Temperatur [°C];Größe;Öl\n2026-01-05 00:00;1;2;3\n"


def test_a_second_import_of_a_file_from_before_names_left_their_units_declares_no_new_variable(
    folder,
):
    before = {
        "Temperatur_C": Variable(title="Temperatur", unit="°C"),
        "Gr_e": Variable(title="Größe"),
        "l": Variable(title="Öl"),
    }
    folder.plant.assets.store_assets([Asset(name="a", variables=before)])
    folder.readings(OLD)
    assert folder.plant.assets.get("a").variables == before
    assert next(iter(folder.plant.readings.values.values())) == {
        "Temperatur_C": 1.0,
        "Gr_e": 2.0,
        "l": 3.0,
    }
    again = folder.readings(OLD)
    assert (again.new, folder.plant.assets.get("a").variables) == (0, before)


def test_another_asset_gets_the_names_that_a_file_gave_the_first_one(folder):
    folder.plant.assets.store_assets(
        [Asset(name="b", variables={"Temperatur_C": Variable(title="Temperatur", unit="°C")})]
    )
    folder.readings(OLD)
    assert set(folder.plant.assets.get("a").variables) == {"Temperatur_C", "Groesse", "Oel"}


def test_two_units_of_one_quantity_stay_two_variables(folder):
    folder.readings("ts;T [°C]\n2026-01-05 00:00;1\n")
    folder.readings("ts;T [°C];T [K]\n2026-01-05 00:01;1;2\n")
    assert {n: (v.title, v.unit) for n, v in folder.plant.assets.get("a").variables.items()} == {
        "T": (None, "°C"),
        "T_K": ("T", "K"),
    }
    both = folder.readings("ts;Druck [bar];Druck [Pa]\n2026-01-05 00:01;1;2\n")
    assert set(both.variables) == {"Druck_bar", "Druck_Pa"}


def test_a_name_given_by_hand_is_not_taken_again_by_a_title_without_its_unit(folder):
    found = folder.readings("ts;T1;Druck [bar]\n2026-01-05 00:00;1;2\n", rename={"T1": "Druck"})
    assert set(found.variables) == {"Druck", "Druck_bar"}


def test_attributes_of_events_keep_the_names_that_they_had(folder):
    path = folder.file("ts;type;Größe [mm]\n2026-01-05 00:00;stop;2\n")
    for new in (1, 0):
        source = EventsFile(path, Layout(asset="a"), EventColumns())
        assert check_events(source, folder.plant).write(now=NOW, actor="me").new == new
    assert [dict(event.attributes) for event in folder.plant.readings.events.values()] == [
        {"Gr_e_mm": 2.0}
    ]


# A variable that was declared without a type


def test_a_variable_declared_without_a_type_takes_that_of_its_column(folder):
    folder.plant.assets.store_assets(
        [Asset(name="a", variables={"x": Variable(title="Recipe", unit=None), "y": Variable()})]
    )
    folder.readings("ts,x,y\n2026-01-05,A,true\n2026-01-06,B,false\n")
    assert {n: (v.type, v.title) for n, v in folder.plant.assets.get("a").variables.items()} == {
        "x": ("category", "Recipe"),
        "y": ("boolean", None),
    }
    assert list(folder.column("x").values()) == ["A", "B"]


def test_a_type_that_was_stated_or_has_a_reading_stays(folder):
    folder.plant.assets.store_assets(
        [
            Asset(
                name="a",
                variables={"x": Variable(type="number"), "y": Variable(), "z": Variable(unit="°C")},
            )
        ]
    )
    with pytest.raises(UserError, match="column 'x' is taken for a number"):
        folder.readings("ts,x\n2026-01-05,A\n2026-01-06,B\n")
    with pytest.raises(UserError, match="column 'z' is taken for a number"):
        folder.readings("ts,z\n2026-01-05,A\n2026-01-06,B\n")
    folder.readings("ts,y\n2026-01-05,1\n")
    with pytest.raises(UserError, match="column 'y' is taken for a number"):
        folder.readings("ts,y\n2026-01-06,A\n2026-01-07,B\n")
    assert folder.plant.assets.get("a").variables["y"].type == "number"
