"""YAML and JSON that nobody should have written: every command that reads it refuses it with its
place, without a traceback."""

import pytest
from typer.testing import CliRunner

from alerting.adapters.yaml_documents import parse_yaml
from alerting.cli.main import app

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]"
    for a, b in zip("abcdefghi", "bcdefghij", strict=True)
)
CASES = {
    "a key that stands twice": (
        "name: a\nabove: 1\nabove: 2",
        "line 3: the key 'above' occurs twice, first in line 2",
    ),
    "a key that stands twice deep down": (
        "name: a\nschedule:\n  every: 1m\n  every: 2m",
        "line 4: the key 'every' occurs twice",
    ),
    "a key that stands twice in JSON": (
        '{"name": "a", "name": "b"}',
        "the key 'name' occurs twice",
    ),
    "deep lists": ("a: " + "[" * 5_000, "nested too deeply"),
    "deep maps": ("{a: " * 3000, "nested too deeply"),
    "deep blocks": ("- " * 3000 + "x", "nested too deeply"),
    "sixty levels": ("a: " + "[" * 60 + "]" * 60, "nested too deeply; at most 50 levels"),
    "a list in itself": ("a: &a [*a]", "nested too deeply"),
    "aliases that unfold without end": (BOMB, "unfolds to more than"),
    "100,000 digits": ("above: " + "9" * 100_000, "line 1: a number of 100000 digits"),
    "100,000 hexadecimal digits": ("above: 0x" + "f" * 100_000, "a number of 100002 digits"),
    "half a character": ('title: "\\ud800"', "line 1: holds U+D800"),
    "half a character in JSON": ('{"\\udfff": 1}', "holds U+DFFF"),
    "a NUL": ('title: "\\0"', "line 1: holds U+0000"),
    "31 February": ("start: 2026-02-31", "cannot be read"),
    "a Python object": ("a: !!python/object/apply:os.system [ls]", "is not YAML or JSON"),
    "a list as a key": ("? [a]\n: 1", "is not YAML or JSON"),
}


@pytest.mark.parametrize("words", [["check"], ["test"], ["import", "assets"]], ids=" ".join)
def test_no_command_takes_it_or_falls_over_it(tmp_path, words, in_memory_cli):
    answers = {}
    for case, (text, _) in CASES.items():
        file = tmp_path / "wrong.yaml"
        file.write_text(text, encoding="utf-8")
        done = CliRunner().invoke(app, [*words, str(file)])
        answers[case] = (done.exit_code, "Traceback" in done.output, " ".join(done.output.split()))
    assert {
        case: answers[case]
        for case, (_, said) in CASES.items()
        if answers[case][:2] != (1, False) or said not in answers[case][2]
    } == {}


@pytest.fixture
def in_memory_cli(monkeypatch):
    """Commands on a platform in memory."""
    from contextlib import contextmanager

    from tests.in_memory_platform import in_memory_platform

    @contextmanager
    def opened(*_, **__):
        yield in_memory_platform()

    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setattr("alerting.wiring.open_platform", opened)


def test_what_people_write_is_read_as_it_was():
    text = (
        "base: &base {every: 1m, retrain: null}\nschedule:\n  <<: *base\n  every: 5m\nname: "
        "a\n---\n---\n- 1\n- 0x10\n- 22:00\n"
    )
    first, second = parse_yaml(text, "here")
    assert first["schedule"] == {"every": "5m", "retrain": None}
    assert second == [1, 16, "22:00"]  # not the number 1320 of base sixty


def test_a_scenario_of_a_million_million_values_is_refused(tmp_path):
    definition = "{name: a, kind: threshold, assets: [o], variable: t, above: 1}"
    for line in (
        "readings: {t: [1 x 1000000000000]}",
        "every: 3000d, readings: {t: [1 x 1000]}",
        f"readings: {{t: [1 x {'9' * 20_000}]}}",
    ):
        file = tmp_path / "scenarios.yaml"
        file.write_text(
            f"definition: {definition}\nscenarios:\n- {{title: t, expect: [], {line}}}\n"
        )
        done = CliRunner().invoke(app, ["test", str(file)])
        assert done.exit_code == 1
        assert "Traceback" not in done.output
        assert not isinstance(done.exception, (MemoryError, OverflowError, ValueError)), (
            done.exception
        )


def test_a_folder_is_refused_with_the_pattern_that_names_its_files(tmp_path, in_memory_cli):
    done = CliRunner().invoke(app, ["test", str(tmp_path)])
    assert done.exit_code == 1
    assert f"is a folder; name its files, for example {tmp_path.name}/*.yaml" in "".join(
        done.output.split("\n")
    ).replace(str(tmp_path.parent) + "/", "")
