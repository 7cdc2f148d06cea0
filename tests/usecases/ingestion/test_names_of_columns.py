"""Names and types of the variables of a file's columns: those of variables that there are, else
derived from the titles."""

import pytest

from alerting.definitions.asset_documents import Asset, Variable
from tests.helpers.tables import Importer


@pytest.fixture
def folder(tmp_path):
    return Importer(tmp_path, asset="a")


OLD = "ts;Temperatur [°C];Größe;Öl\n2026-01-05 00:00;1;2;3\n"
CELSIUS = Variable(title="Temperatur", unit="°C")


def test_a_second_import_of_a_file_from_before_names_left_their_units_declares_no_new_variable(
    folder,
):
    before = {"Temperatur_C": CELSIUS, "Gr_e": Variable(title="Größe"), "l": Variable(title="Öl")}
    folder.plant.assets.store_assets([Asset(name="a", variables=before)])
    assert [folder.readings(OLD).new for _ in range(2)] == [1, 0]
    assert folder.plant.assets.get("a").variables == before
    assert [*folder.rows.values()] == [{"Temperatur_C": 1.0, "Gr_e": 2.0, "l": 3.0}]
    # another asset gets the names that a file gave the first one
    folder.plant.assets.store_assets([Asset(name="a", variables={"Temperatur_C": CELSIUS})])
    folder.readings(OLD, asset="b")
    assert set(folder.variables("b")) == {"Temperatur_C", "Groesse", "Oel"}


def test_two_units_of_one_quantity_and_a_name_given_by_hand_stay_two_variables(folder):
    folder.readings("ts;T [°C]\n2026-01-05 00:00;1\n")
    folder.readings("ts;T [°C];T [K]\n2026-01-05 00:01;1;2\n")
    assert folder.variables() == {"T": (None, "°C"), "T_K": ("T", "K")}
    both = folder.readings("ts;Druck [bar];Druck [Pa]\n2026-01-05 00:01;1;2\n")
    assert set(both.variables) == {"Druck_bar", "Druck_Pa"}
    by_hand = "ts;T1;Druck [bar]\n2026-01-05 00:00;1;2\n"
    named = folder.alone(by_hand, rename={"T1": "Druck"})
    assert set(named.outcome.variables) == {"Druck", "Druck_bar"}


def test_attributes_of_events_keep_the_names_that_they_had(folder):
    content = "ts;type;Größe [mm]\n2026-01-05 00:00;stop;2\n"
    assert [folder.events(content).new for _ in range(2)] == [1, 0]
    stored = [dict(event.attributes) for event in folder.plant.readings.events.values()]
    assert stored == [{"Gr_e_mm": 2.0}]


def test_a_variable_declared_without_a_type_takes_that_of_its_column(folder):
    folder.plant.assets.store_assets(
        [Asset(name="a", variables={"x": Variable(title="Recipe", unit=None), "y": Variable()})]
    )
    folder.readings("ts,x,y\n2026-01-05,A,true\n2026-01-06,B,false\n")
    assert {n: (v.type, v.title) for n, v in folder.plant.assets.get("a").variables.items()} == {
        "x": ("category", "Recipe"),
        "y": ("boolean", None),
    }
    assert [row["x"] for row in folder.rows.values()] == ["A", "B"]


def test_a_type_that_was_stated_or_has_a_reading_stays(folder):
    variables = {"x": Variable(type="number"), "y": Variable(), "z": Variable(unit="°C")}
    folder.plant.assets.store_assets([Asset(name="a", variables=variables)])
    folder.readings("ts,y\n2026-01-05,1\n")
    texts = [
        (f"ts,{name}\n2026-01-06,A\n2026-01-07,B\n", {}, f"'{name}' is taken for a number")
        for name in variables
    ]
    assert folder.unsaid(texts) == []
    assert folder.plant.assets.get("a").variables["y"].type == "number"


def test_a_declared_variable_keeps_its_type_and_its_cells_whatever_they_look_like(folder):
    kiln = Variable(type="category")
    charge = Variable(type="number")
    folder.plant.assets.store_assets(
        [Asset(name="a", variables={"Kiln": kiln, "Charge": charge, "Draw": Variable(unit="kW")})]
    )
    content = "ts;Kiln;Charge;Draw\n2026-01-05;7.5 °C;0815;950 W\n2026-01-06;8.5 °C;0816;1.5 kW\n"
    result = folder.readings(content)
    assert [*folder.rows.values()] == [
        {"Kiln": "7.5 °C", "Charge": 815.0, "Draw": 0.95},
        {"Kiln": "8.5 °C", "Charge": 816.0, "Draw": 1.5},
    ]
    assert "column 'Charge' is declared as a number, but its numbers such as 0815 begin with" in (
        " ".join(result.notes)
    )
    folder.expect_refusal(
        "Charge is declared as number, and a declared variable keeps its type",
        content=content,
        types={"Charge": "category"},
    )


def test_a_unit_in_the_cells_counts_as_one_in_the_title_and_a_stated_type_is_that_of_a_new_variable(
    folder,
):
    folder.plant.assets.store_assets([Asset(name="a", variables={"T": Variable(unit="bar")})])
    content = "ts;T;Charge\n2026-01-05;7.5 °C;0815\n2026-01-06;8.5 °C;0816\n"
    result = folder.readings(content, types={"Charge": "number"})
    assert result.variables == {"T_C": "number", "Charge": "number"}
    assert folder.variables()["T_C"] == ("T", "°C")
    told = folder.alone(content).outcome
    assert told.variables == {"T": "number", "Charge": "category"}
