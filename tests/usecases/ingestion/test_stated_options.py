"""What was stated of a file is used for the next file of its form, and said; and no more than
that."""

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from alerting.adapters.files.find_form import hash_form
from alerting.definitions.faults import UserError
from alerting.definitions.file_form import FileForm, read_form, state_form
from alerting.definitions.wording.language import ENGLISH, in_english
from alerting.ports import AuditFilter, StoredForm
from alerting.stores import file_forms as store
from alerting.usecases.ingestion.stated_options import keep, merge_stated, with_note
from tests.builders import at
from tests.helpers.command_line import run
from tests.in_memory_platform import in_memory_platform

ZONE = {"zone": ("UTC",), "rename": ("a=x", "b=y")}
FORMS_STATED = {
    "nothing": FileForm(),
    "head": FileForm(header_line=0, columns=("a", "b c"), separator="\t", encoding="cp1252"),
    "line": FileForm(header_line=3, only=("a", "b"), decimal=","),
    "form": FileForm(variable_column="Var=Name", value_column="v", types={"a=b": "category"}),
    "wide": FileForm(is_wide=True, missing=("ERR", "a,b"), rename={"T [°C]": "t", "x=y": "z"}),
    "quality": FileForm(quality="q", quality_suffix="_q", quality_codes="opc-da", zone="Etc/GMT-1"),
    "fast": FileForm(sequence=timedelta(milliseconds=100)),
    "sequence": FileForm(sequence=timedelta(minutes=90), time="no", asset_prefix="m-"),
}
MERGED = {
    "options are used": (ZONE, {}, ZONE),
    "one option replaces one": (ZONE, {"zone": ("Asia/Tokyo",)}, {"zone": ("Asia/Tokyo",)}),
    "columns one by one": (ZONE, {"rename": ("b=z",)}, {"rename": ("a=x", "b=z")}),
    "another head": (ZONE, {"header_line": ("2",)}, {"rename": None, "zone": ("UTC",)}),
    "the same head": (ZONE | {"is_wide": ("",)}, {"is_wide": ("",)}, ZONE),
    "one asset": ({"asset_column": ("m",), "asset_prefix": ("m-",)}, {"asset": ("a",)},
                  {"asset_column": None, "asset_prefix": None}),
    "stamps": ({"sequence": ("1m",)}, {"time_format": ("iso",)}, {"sequence": None}),
    "fields of another version": ({"colour": ("red",)}, {}, {"colour": None}),
    "fields that there are not": (ZONE, {"colour": ("red",)}, ZONE | {"colour": None}),
}  # fmt: skip
FORMS = {
    "the same titles": (b"ts;a\n1;2\n", b"ts;a\n5;6\n7;8\n", True),
    "other titles": (b"ts;a\n1;2\n", b"ts;b\n1;2\n", False),
    "another separator": (b"ts;a\n1;2\n", b"ts,a\n1,2\n", False),
    "one title twice": (b"t,a,a\n1,2,3\n", b"t,a,a\n4,5,6\n", True),
    "another title twice": (b"t,a,a\n1,2,3\n", b"t,b,b\n4,5,6\n", False),
}


@pytest.mark.fast
def test_a_form_is_stated_in_texts_and_read_from_them():
    read = {name: read_form(state_form(form)) for name, form in FORMS_STATED.items()}
    assert read == FORMS_STATED


WRITTEN = {
    "columns": (("Time, Zone 1", " Zone 2 ,", "a=b"), ("Time,Zone 1,Zone 2,a=b",)),
    "only": (("a", "b,c"), ("a,b,c",)),
    "rename": (("x=y=z", "a=b"), ("x=y=z", "a=b")),
    "types": (("a=number", "b=c=category"), ("a=number", "b=c=category")),
    "missing": (("a,b", " x "), ("a,b", " x ")),
    "asset_prefix": ((" m-",), (" m-",)),
    "sequence": (("60s",), ("1m",)),
}


@pytest.mark.fast
def test_texts_of_a_form_are_written_in_one_way_and_mean_the_same():
    texts = {name: given for name, (given, _) in WRITTEN.items()}
    written = state_form(read_form(texts))
    assert written == {name: expected for name, (_, expected) in WRITTEN.items()}
    assert read_form(written) == read_form(texts)


@pytest.mark.fast
def test_an_option_replaces_what_is_kept_and_nothing_else():
    wrong = {}
    for name, (kept, stated, expected) in MERGED.items():
        merged = merge_stated(kept, stated)
        if {field: merged.get(field) for field in expected} != expected:
            wrong[name] = merged
    assert wrong == {}


@pytest.mark.fast
def test_a_form_is_known_by_separator_and_titles(tmp_path):
    first = tmp_path / "first.csv"
    second = tmp_path / "second.csv"
    wrong = []
    for name, (content, other, alike) in FORMS.items():
        first.write_bytes(content)
        second.write_bytes(other)
        if (hash_form(first, "readings") == hash_form(second, "readings")) is not alike:
            wrong.append(name)
    assert wrong == []
    assert hash_form(first, "readings") != hash_form(first, "events")


def test_the_newest_forms_stay(monkeypatch):
    plans = in_memory_platform().file_forms
    monkeypatch.setattr(store, "MOST_FORMS", 3)
    for number in (5, 1, 4, 2, 3):
        keep(plans, f"form-{number}", "C:\\data\\a.csv", ZONE, at(number))
    assert [number for number in range(6) if plans.find(f"form-{number}")] == [3, 4, 5]
    assert plans.find("form-5") == StoredForm("form-5", "a.csv", at(5), ZONE)
    keep(plans, "form-5", "b.csv", {"missing": ("x" * 60_000,)}, at(9))  # too much to keep
    assert plans.find("form-5") is None


@pytest.fixture
def platform(monkeypatch, tmp_path):
    made = in_memory_platform()
    made.clock.instant = datetime(2026, 11, 2, 8, tzinfo=UTC)
    monkeypatch.setattr("alerting.wiring.open_platform", lambda *_, **__: nullcontext(made))
    monkeypatch.chdir(tmp_path)
    return made


def read(name, *options, day=1):
    """Return exit code and words of the import of a file with these options."""
    rows = f"0{day}/02/2026 06:00;1,5;a\n0{day}/03/2026 06:00;2,5;b\n"
    Path(name).write_text(f"When;Temp (C);Note\n{rows}", encoding="utf-8")
    done = run("import", "readings", name, *options, columns=400)
    return done.exit_code, done.output


def test_the_next_file_of_a_form_is_read_as_the_last_one(platform):
    stated = ("--time-format", "dd/mm/yyyy", "--rename", "Temp (C)=temp", "--tz", "UTC")
    assert read("press.csv", "--asset", "press-1", *stated)[0] == 0
    (entry,) = platform.audit.find(AuditFilter(what="readings imported"), 9)
    plan = entry.after["form"]
    assert (plan["time_format"], plan["separator"]) == ("dd/mm/yyyy", ";")
    assert None not in plan.values()
    note = (
        "read like press.csv of 2026-11-02: --time-format dd/mm/yyyy, --tz UTC, --rename Temp "
        "(C)=temp; give an option to read it otherwise, or --afresh"
    )
    code, words = read("next.csv", "--asset", "press-2", day=2)
    assert (code, note in words) == (0, True)
    assert platform.readings.span("press-2")[0] == datetime(2026, 2, 2, 6, tzinfo=UTC)
    assert set(platform.assets.get("press-2").variables) == {"temp", "Note"}
    code, words = read("third.csv")  # the asset is stated for each file
    assert (code, "--asset" in words, "read like next.csv" in words) == (1, True, True)
    code, words = read("third.csv", "--asset", "press-3", "--afresh")
    assert (code, "--time-format" in words, "read like" in words) == (1, True, False)
    other = ("--asset", "press-3", "--time-format", "mm/dd/yyyy")
    code, words = read("third.csv", *other, "--dry-run")
    assert (code, "--time-format dd/mm/yyyy" in words, "--tz UTC" in words) == (0, False, True)
    assert read("third.csv", *other)[0] == 0
    assert read("third.csv", *other, "--take-back")[0] == 0  # it was wrong
    assert read("third.csv", "--asset", "press-3")[0] == 1


def test_a_refusal_with_a_note_keeps_its_instants():
    def refuse():
        raise UserError(in_english("no row after {at}", at=at(0)))

    with pytest.raises(UserError) as refused:
        with_note(refuse, "read like press.csv")
    reader = ENGLISH.with_clock(ZoneInfo("Europe/Berlin"))
    said = "no row after 2026-01-05 01:00 CET\n  - read like press.csv"
    assert reader.translate(refused.value.message) == said


PLAIN = "ts,temp [°C],load\n2026-03-02T06:00:00Z,61.5,3\n2026-03-02T06:01:00Z,62.5,4\n"


def test_of_a_plain_file_two_lines_are_printed(platform):
    Path("line.csv").write_text(PLAIN, encoding="utf-8")
    done = run("import", "readings", "line.csv", "--asset", "oven-1", columns=200)
    printed = [line for line in done.output.splitlines() if not line.startswith("written to")]
    assert printed == [
        "line.csv: 2 lines of oven-1 (new), 2026-03-02 06:00:00Z to 2026-03-02 06:01:00Z: "
        "temp °C, load",
        "2 new of 2 readings of 1 asset, 2026-03-02 06:00 UTC to 2026-03-02 06:01 UTC",
    ]


EUROPEAN = """Zeit;Temp;Note;Temp_q
02.03.2026 06:00;61,5;ok;good
02.03.2026 06:01;n/m;b;bad
02.03.2026 06:02;62,5;c;good
"""


def test_each_decision_on_a_file_is_one_line(platform):
    words = ("import", "readings", "line.csv", "--asset", "oven-1", "--tz", "UTC")
    Path("line.csv").write_text(PLAIN.replace("load", "Temp"), encoding="utf-8")
    assert run(*words).exit_code == 0
    Path("line.csv").write_text(EUROPEAN, encoding="utf-8")
    assert run(*words, "--dry-run", columns=400).output.splitlines() == [
        "line.csv: 3 lines of oven-1, 2026-03-02 06:00:00 to 2026-03-02 06:02:00: Temp, Note "
        "(category, new), Temp_q (category, new)",
        "  separator ';', decimal mark ',', encoding utf-8",
        "  time: 'Zeit', dd.mm.yyyy, local time of UTC (--tz)",
        "  column 'Temp': 1 cell is not a number (n/m) and counts as missing (first: line 3)",
        "  column 'Temp_q' holds words of quality (bad 1): if it states the quality of 'Temp', "
        "add --quality-suffix '_q'",
        "dry run: nothing was written",
    ]
