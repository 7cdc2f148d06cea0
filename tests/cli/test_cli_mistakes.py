"""Typical mistakes on the command line: no traceback, an exit code that is not zero, and an answer
that helps."""

from pathlib import Path

import pytest

from alerting.definitions.file_form import read_form
from alerting.usecases.definitions.revisions_and_evaluation_plan import DEFINITION_DOCUMENTS
from tests.builders import too_hot
from tests.helpers.command_line import output, run, write
from tests.humid_line import NAME, learned_quickly

PAST = "2026-01-04T00:00Z"
LATER = "2026-01-05T00:00Z"
FUTURE = "2099-01-01T00:00Z"
REVERSED = ("--from", LATER, "--to", PAST)
FROM_FUTURE = ("--from", FUTURE, "--to", "2099-02-01T00:00Z")
READERS = ("check", "apply", "test", "import readings", "import events", "import assets")
FAULTY = ("missing", "empty", "list", "text", "bad", "binary")
MISTAKES = [
    (("evaluate", "too-hot", *FROM_FUTURE), "--from 2099-01-01 00:00 UTC lies in the future"),
    (("episodes", "too-hot", *FROM_FUTURE), "lies in the future"),
    (("report", "too-hot", *FROM_FUTURE), "lies in the future"),
    (("why", "too-hot", "oven-1", "--at", FUTURE), "--at 2099-01-01 00:00 UTC lies in the future"),
    (("train", NAME, "--as-of", FUTURE), "--as-of 2099-01-01 00:00 UTC lies in the future"),
    (("dataset", NAME, "--as-of", FUTURE), "lies in the future"),
    (("evaluate", "too-hot", *REVERSED), "must lie before --to"),
    (("episodes", "too-hot", *REVERSED), "must lie before --to"),
    (("report", "too-hot", *REVERSED), "must lie before --to"),
    (
        ("evaluate", "too-hot", "--from", PAST, "--to", LATER, "--model", "x"),
        "write a version number",
    ),
    (
        ("evaluate", "too-hot", "--from", PAST, "--to", LATER, "--model", "7"),
        "which has no model: leave --model out",
    ),
    (
        ("evaluate", NAME, "--from", PAST, "--to", LATER, "--model", "7"),
        f"there is no version 7 of '{NAME}' (registered: none)",
    ),
    (
        ("evaluate", "gone", "--from", PAST, "--to", LATER),
        "'gone' is retired, and was not in force",
    ),
    (("evaluate", "gone"), "not in service: gone"),
    (("backtest", "gone"), "(they reach from 2026-01-05 00:05 UTC to 2026-01-05 00:05 UTC)"),
    (("backtest", "folder"), "is a folder"),
    (("check", "thot.yaml"), "did you mean hot.yaml?"),
    (("check", "bad.yaml"), "bad.yaml: is not YAML or JSON: line 2, column 1"),
    (("read", "nope"), "there is no source 'nope'"),
    (("restore", "hot.yaml"), "name the folder that `alerting backup` has written"),
    (("score", "too-hot"), "which has no model"),
    # of one value the last would count, without a word
    (("why", "too-hot", "oven-1", "--at", PAST, "--at", LATER), "--at takes one value"),
]


@pytest.fixture(scope="module")
def folder(unchanged_plant):
    """Files of every kind in the present folder, a definition with a model, and a retired one."""
    Path("folder").mkdir()
    write("empty.yaml", "")
    write("list.yaml", "- 1\n- 2\n")
    write("text.yaml", "hello\n")
    write("bad.yaml", "name: [a\n")
    Path("binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    write("hot.yaml", too_hot())
    output("apply", write("moist.yaml", learned_quickly()))
    output("apply", write("gone.yaml", too_hot(name="gone")))
    DEFINITION_DOCUMENTS.change_state(
        unchanged_plant, "gone", "retire", "engineer", unchanged_plant.clock.now(), "over"
    )
    return unchanged_plant


def assert_refused(*words):
    done = run(*words)
    assert done.exit_code in (1, 2), (words, done.output)
    assert isinstance(done.exception, SystemExit), (words, done.exception)
    assert done.stderr.strip(), words
    assert done.stdout == "", (words, done.stdout)
    return " ".join(done.stderr.split())


def test_a_file_that_is_none_of_its_kind_is_refused_with_its_name(folder):
    files = ["folder", *(f"{name}.yaml" for name in FAULTY)]
    assert [
        (words, file)
        for words in READERS
        for file in files
        if file not in assert_refused(*words.split(), file)
    ] == []


def test_a_mistake_is_answered_with_what_was_wrong(folder):
    answers = [(words, assert_refused(*words), answer) for words, answer in MISTAKES]
    assert [(words, said) for words, said, answer in answers if answer not in said] == []


def test_models_of_a_definition_without_a_model_says_so(folder):
    assert "too-hot has no champion: it is a threshold definition, which has no model" in output(
        "models", "too-hot"
    )


def test_apply_of_what_is_applied_says_nothing_of_writing(plant):
    write("hot.yaml", too_hot())
    first = run("apply", "hot.yaml")
    second = run("apply", "hot.yaml")
    assert ["written to" in done.stderr for done in (first, second)] == [True, False]


def test_columns_to_take_are_named_together_or_one_by_one():
    assert read_form({"only": ("temp", "load, speed")}).only == ("temp", "load", "speed")
