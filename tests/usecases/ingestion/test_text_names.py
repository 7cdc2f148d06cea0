"""Texts of a file that are no names: the asset with this title, a name derived from the text, or a
refusal that says what to write."""

import pytest

from alerting.adapters.files.assets import read_assets
from alerting.adapters.files.rows import Layout
from alerting.definitions.assets import Asset, EventType
from alerting.usecases.ingestion.assets import import_assets
from alerting.usecases.ingestion.text_names import TextNames, titles_by_name
from tests.helpers.tables import NOW
from tests.memory_plant import Assets, Plant


def names(*texts, prefix="", **stored):
    """Names for texts one after another; `stored`: titles by name, with _ for -."""
    found = TextNames(
        "asset", prefix, lambda: {name.replace("_", "-"): title for name, title in stored.items()}
    )
    return [found.read(text) for text in texts]


def reason(*texts, **stored):
    with pytest.raises(ValueError, match=r"name|almost|title") as refusal:
        names(*texts, **stored)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("oven-1", "oven-1"),
        ("1.2", "1.2"),
        ("Ofen 2", "Ofen_2"),
        ("Ofen\u00a02", "Ofen_2"),
        ("  Ofen   2 ", "Ofen_2"),
        ("oven-1   ", "oven-1"),
        ("Röster (Süd) #3", "Roester_Sued_3"),
        ("Ligne n° 4/b", "Ligne_n_4_b"),
        ("Łódź 1", "Lodz_1"),
    ],
)
def test_a_text_gives_the_name_that_one_expects(text, name):
    assert names(text) == [name]


@pytest.mark.parametrize(
    "text", ["", "12:30", "2026-01-05 06:00", "窯 2", "Печь 2", "o\n", "x" * 101, "a" + " b" * 120]
)
def test_a_text_that_gives_no_name_without_loss_is_refused(text):
    assert "is not a name of an asset: letters, digits, _ . - only, at most 100; give an asset" in (
        reason(text)
    )


def test_an_asset_with_the_text_as_title_is_meant_whatever_its_name():
    assert names("Печь 2", "Ofen 2", oven_1="Ofen 2", oven_2="Печь 2") == ["oven-2", "oven-1"]


def test_the_title_of_two_assets_is_refused_unless_one_has_the_derived_name():
    assert "'Ofen 2' is the title of a-2 and b-2; write the name" in (
        reason("Ofen 2", a_2="Ofen 2", b_2="Ofen 2")
    )
    stored = {"Ofen_2": "Ofen 2", "b": "Ofen 2"}
    assert TextNames("asset", "", lambda: stored).read("Ofen 2") == "Ofen_2"
    assert names("Ofen 2", prefix="b-", a_2="Ofen 2", b_2="Ofen 2") == ["b-2"]


def test_an_asset_of_the_derived_name_is_meant_also_after_its_title_was_changed():
    for title in (None, "Backofen"):
        assert TextNames("asset", "", lambda t=title: {"Ofen_2": t}).read("Ofen 2") == "Ofen_2"


@pytest.mark.parametrize(
    ("stored", "almost"),
    [
        ({"ofen-2": None}, "ofen-2"),
        ({"oven-2": "OFEN 2"}, "oven-2 ('OFEN 2')"),
        ({"Ofen_2": "Ofen/2"}, "Ofen_2 ('Ofen/2')"),
    ],
)
def test_a_text_that_is_almost_a_known_asset_is_refused_with_its_name(stored, almost):
    with pytest.raises(ValueError, match="is almost") as refusal:
        TextNames("asset", "", lambda: stored).read("Ofen 2")
    assert (
        f"'Ofen 2' is almost {almost}: write {almost.split()[0]} if it is meant, or give it"
        in str(refusal.value)
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [("Ofen 2", "Ofen/2"), ("Ofen 2", "Ofen_2"), ("Ofen-2", "Ofen 2"), ("Ofen 2", "OFEN 2")],
)
def test_two_texts_that_differ_in_marks_or_capitals_only_are_not_taken_for_two_assets(
    first, second
):
    assert f"{second!r} is almost {first!r} on an earlier line" in reason(first, second)


def test_numbers_that_marks_separate_stay_apart():
    assert names("Ofen 1.1", "Ofen 11", "Ofen 1 2") == ["Ofen_1.1", "Ofen_11", "Ofen_1_2"]


# Files

READINGS = "ts;asset;x\n2026-01-05 06:00:00;Ofen 2;1\n2026-01-05 06:00:00;Öl-Presse;2\n"


def test_a_file_with_texts_declares_assets_with_these_titles_once(importer):
    result = importer.readings(READINGS)
    assert titles_by_name(importer.plant.assets.all()) == {
        "Ofen_2": "Ofen 2",
        "Oel-Presse": "Öl-Presse",
    }
    assert (
        "texts that are no names of assets: 'Öl-Presse' is Oel-Presse, 'Ofen 2' is Ofen_2"
        in result.notes
    )
    again = importer.readings(READINGS)
    assert (again.new, again.created) == (0, ())


def test_a_file_with_titles_goes_to_the_assets_that_have_them(importer):
    importer.plant = Plant(
        Assets(Asset(name="oven-2", title="Ofen 2"), Asset(name="press", title="Öl-Presse"))
    )
    assert importer.readings(READINGS).assets == ("oven-2", "press")
    importer.events("ts;asset;type\n2026-01-05 06:00:00;Ofen 2;Störung Band 3\n")
    event = next(iter(importer.plant.readings.events.values()))
    assert (event.asset, event.type) == ("oven-2", "Stoerung_Band_3")


def test_events_declare_assets_with_titles_and_types_with_derived_names(importer):
    content = "ts;asset;type\n2026-01-05 06:00:00;Ofen 2;Störung Band 3\n"
    result = importer.events(content)
    assert importer.plant.assets.get("Ofen_2") == Asset(name="Ofen_2", title="Ofen 2")
    assert result.notes == (
        "texts that are no names of assets: 'Ofen 2' is Ofen_2",
        "texts that are no names of event types: 'Störung Band 3' is Stoerung_Band_3",
        "1 time stamp names no zone and was taken as UTC; name another zone with --tz",
    )
    stored = EventType(name="Stoerung_Band_3", title="Störung Band 3", duration="instant")
    assert importer.plant.assets.event_types() == [stored]
    assert importer.events(content).new == 0
    importer.plant.assets.put_event_types([stored.model_copy(update={"title": "Band 3 steht"})])
    for text in ("Band 3 steht", "Störung Band 3"):
        later = "ts;asset\n2026-01-06 06:00:00;Ofen 2\n"
        assert importer.events(later, {"type": text}).event_types == {"Stoerung_Band_3": "instant"}
    assert titles_by_name(importer.plant.assets.event_types()) == {
        "Stoerung_Band_3": "Band 3 steht"
    }
    importer.plant.assets.put_event_types([EventType(name="belt-stop", duration="instant")])
    importer.expect_refusal(
        "line 2, column type: 'Belt stop' is almost belt-stop: write belt-stop if it is meant, "
        "else another name",
        call=importer.events,
        content="ts;asset;type\n2026-01-05 07:00:00;Ofen 2;Belt stop\n",
    )


def test_of_two_almost_equal_texts_the_later_lines_are_kept_apart(importer):
    content = f"{READINGS}2026-01-05 06:01:00;Ofen/2;3\n2026-01-05 06:02:00;Ofen 2;4\n"
    importer.expect_refusal("line 4, column asset: 'Ofen/2' is almost 'Ofen 2'", content=content)
    result = importer.readings(content, skip_bad=True)
    assert (result.rows, [bad.line for bad in importer.rejects]) == (3, [4])
    assert result.assets == ("Oel-Presse", "Ofen_2")


def test_a_table_of_assets_gives_new_ones_their_texts_as_titles_and_keeps_other_titles(importer):
    importer.plant = Plant(Assets(Asset(name="Ofen_3", title="Backofen")))
    path = importer.file("asset;Modell\nOfen 2;A\nOfen 3;B\n")

    def given():
        return read_assets(path, Layout(), lambda: titles_by_name(importer.plant.assets.all()))

    import_assets("file", given(), importer.plant, now=NOW, actor="me")
    assert {a.name: (a.title, a.attributes) for a in importer.plant.assets.all()} == {
        "Ofen_2": ("Ofen 2", {"Modell": "A"}),
        "Ofen_3": ("Backofen", {"Modell": "B"}),
    }
    assert not import_assets("file", given(), importer.plant, now=NOW, actor="me").changes


def test_the_asset_of_all_lines_may_be_a_title_too(importer):
    importer.plant = Plant(Assets(Asset(name="oven-2", title="Ofen 2")))
    content = "ts;x\n2026-01-05 06:00:00;1\n"
    assert importer.readings(content, asset="Ofen 2").assets == ("oven-2",)
    assert importer.readings(content, asset="Röster 2").created == ("Roester_2",)
    assert importer.plant.assets.get("Roester_2").title == "Röster 2"
    importer.expect_refusal(
        "--asset: 'OVEN 2' is almost oven-2 ('Ofen 2')", content=content, asset="OVEN 2"
    )
