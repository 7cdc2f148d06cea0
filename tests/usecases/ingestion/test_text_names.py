"""Texts of a file that are no names: the asset with this title, a name derived from the text, or a
refusal that says what to write."""

from alerting.adapters.files.assets import read_assets
from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.file_form import FileForm
from alerting.usecases.ingestion.asset_import import TextNames, import_assets, titles_by_name
from tests.helpers.tables import NOW
from tests.memory_plant import Assets, Plant


def answer(*texts, **stored):
    """Return the name of the last of these texts, or why it has none."""
    found = TextNames("asset", "", lambda: stored)
    try:
        return [found.read(text) for text in texts][-1]
    except ValueError as refusal:
        return str(refusal)


BOTH = {"a-2": "Ofen 2", "b-2": "Ofen 2"}
NAMED = [
    (["oven-1"], {}, "oven-1"),
    (["1.2"], {}, "1.2"),
    (["Ofen 2"], {}, "Ofen_2"),
    (["Ofen\u00a02"], {}, "Ofen_2"),
    (["  Ofen   2 "], {}, "Ofen_2"),
    (["oven-1   "], {}, "oven-1"),
    (["Röster (Süd) #3"], {}, "Roester_Sued_3"),
    (["Ligne n° 4/b"], {}, "Ligne_n_4_b"),
    (["Łódź 1"], {}, "Lodz_1"),
    # numbers that marks separate stay apart
    (["Ofen 1.1"], {}, "Ofen_1.1"),
    (["Ofen 1.1", "Ofen 11"], {}, "Ofen_11"),
    (["Ofen 1.1", "Ofen 11", "Ofen 1 2"], {}, "Ofen_1_2"),
    # the title of an asset that there is, or its name as it is derived from the text
    (["Печь 2"], {"oven-1": "Ofen 2", "oven-2": "Печь 2"}, "oven-2"),
    (["Ofen 2"], {"oven-1": "Ofen 2", "oven-2": "Печь 2"}, "oven-1"),
    (["Ofen 2"], {"Ofen_2": "Ofen 2", "b": "Ofen 2"}, "Ofen_2"),
    (["Ofen 2"], {"Ofen_2": None}, "Ofen_2"),
    (["Ofen 2"], {"Ofen_2": "Backofen"}, "Ofen_2"),
]
NONE = "is not a name of an asset: letters, digits, _ . - only, at most 100; give an asset"
NO_NAMES = ["", "12:30", "2026-01-05 06:00", "窯 2", "Печь 2", "o\n", "x" * 101, "a" + " b" * 120]
MEANT = "'Ofen 2' is almost {}: write {} if it is meant, or give it"
EARLIER = "{!r} is almost {!r} on an earlier line"
REFUSED = [
    *(([text], {}, NONE) for text in NO_NAMES),
    (["Ofen 2"], BOTH, "'Ofen 2' is the title of a-2 and b-2; write the name"),
    (["Ofen 2"], {"ofen-2": None}, MEANT.format("ofen-2", "ofen-2")),
    (["Ofen 2"], {"oven-2": "OFEN 2"}, MEANT.format("oven-2 ('OFEN 2')", "oven-2")),
    (["Ofen 2"], {"Ofen_2": "Ofen/2"}, MEANT.format("Ofen_2 ('Ofen/2')", "Ofen_2")),
    (["Ofen 2", "Ofen/2"], {}, EARLIER.format("Ofen/2", "Ofen 2")),
    (["Ofen 2", "Ofen_2"], {}, EARLIER.format("Ofen_2", "Ofen 2")),
    (["Ofen-2", "Ofen 2"], {}, EARLIER.format("Ofen 2", "Ofen-2")),
    (["Ofen 2", "OFEN 2"], {}, EARLIER.format("OFEN 2", "Ofen 2")),
]


def test_a_text_means_an_asset_that_there_is_or_gives_the_name_that_one_expects():
    assert [(texts, stored, answer(*texts, **stored)) for texts, stored, _ in NAMED] == NAMED
    assert TextNames("asset", "b-", lambda: BOTH).read("Ofen 2") == "b-2"


def test_a_text_that_gives_no_name_or_is_almost_another_is_refused_with_what_to_write():
    answers = [(said, answer(*texts, **stored)) for texts, stored, said in REFUSED]
    assert [(said, found) for said, found in answers if said not in found] == []


READINGS = "ts;asset;x\n2026-01-05 06:00:00;Ofen 2;1\n2026-01-05 06:00:00;Öl-Presse;2\n"


def test_a_file_with_texts_declares_assets_with_these_titles_once_or_goes_to_those_there(importer):
    result = importer.readings(READINGS)
    titles = {"Ofen_2": "Ofen 2", "Oel-Presse": "Öl-Presse"}
    assert titles_by_name(importer.plant.assets.all()) == titles
    said = "texts that are no names of assets: 'Öl-Presse' is Oel-Presse, 'Ofen 2' is Ofen_2"
    assert said in result.notes
    again = importer.readings(READINGS)
    assert (again.new, again.created) == (0, ())
    oven = Asset(name="oven-2", title="Ofen 2")
    importer.plant = Plant(Assets(oven, Asset(name="press", title="Öl-Presse")))
    assert importer.readings(READINGS).assets == ("oven-2", "press")


def test_events_declare_assets_with_titles_and_types_with_derived_names(importer):
    content = "ts;asset;type\n2026-01-05 06:00:00;Ofen 2;Störung Band 3\n"
    result = importer.events(content)
    assert importer.plant.assets.get("Ofen_2") == Asset(name="Ofen_2", title="Ofen 2")
    assert result.notes == (
        "texts that are no names of assets: 'Ofen 2' is Ofen_2",
        "texts that are no names of event types: 'Störung Band 3' is Stoerung_Band_3",
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


def test_a_table_of_assets_gives_new_ones_their_texts_as_titles_and_keeps_other_titles(importer):
    importer.plant = Plant(Assets(Asset(name="Ofen_3", title="Backofen")))
    path = importer.file("asset;Modell\nOfen 2;A\nOfen 3;B\n")
    changed = []
    for _ in range(2):
        given = read_assets(path, FileForm(), lambda: titles_by_name(importer.plant.assets.all()))
        made = import_assets("file", given, importer.plant, now=NOW, actor="me")
        changed.append(bool(made.changes))
    assert {a.name: (a.title, a.attributes) for a in importer.plant.assets.all()} == {
        "Ofen_2": ("Ofen 2", {"Modell": "A"}),
        "Ofen_3": ("Backofen", {"Modell": "B"}),
    }
    assert changed == [True, False]


def test_the_asset_of_all_lines_may_be_a_title_too(importer):
    importer.plant = Plant(Assets(Asset(name="oven-2", title="Ofen 2")))
    content = "ts;x\n2026-01-05 06:00:00;1\n"
    assert importer.readings(content, asset="Ofen 2").assets == ("oven-2",)
    assert importer.readings(content, asset="Röster 2").created == ("Roester_2",)
    assert importer.plant.assets.get("Roester_2").title == "Röster 2"
    importer.expect_refusal(
        "--asset: 'OVEN 2' is almost oven-2 ('Ofen 2')", content=content, asset="OVEN 2"
    )
