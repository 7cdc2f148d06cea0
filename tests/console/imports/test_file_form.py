"""A field of how files are read is declared once: command, browser, source, stored form and
documentation take it from there."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import create_model

from alerting.cli.options import form_option
from alerting.console.plant.import_jobs import read_stated
from alerting.definitions.file_form import (
    FORM_FIELDS,
    FileForm,
    FormFault,
    list_fields,
    read_form,
    state_form,
)
from alerting.definitions.form_fields import FormField
from alerting.definitions.sources import PolledFields, source_fields
from tools.pages.file_options import options_page

PAGE = Path(__file__).parents[3] / "docs" / "file-options.md"
COLOUR = FormField("--colour", "Colour of the paper.", "Colour", hint="red", source="colour")


@dataclass(frozen=True)
class ColouredForm(FileForm):
    colour: Annotated[str | None, COLOUR] = None


def test_a_new_field_is_one_declaration():
    fields = list_fields(ColouredForm)
    option = form_option("colour", fields["colour"])
    assert (option.name, option.default) == ("colour", None)
    of_command = option.annotation.__metadata__[0]
    assert (of_command.default, of_command.help) == ("--colour", "Colour of the paper.")
    assert read_stated({"colour": " red"}, fields) == {"colour": ("red",)}
    source = create_model("Source", __base__=PolledFields, **source_fields(fields))
    assert source.model_fields["colour"].description == "Colour of the paper."
    assert source.model_validate({"name": "s", "colour": "red"}).colour == "red"
    form = read_form({"colour": ("red",)}, ColouredForm())
    assert (form.colour, state_form(form)) == ("red", {"colour": ("red",)})
    assert form.document()["colour"] == "red"
    row = "| `--colour COL` | Colour | `colour` | Colour of the paper. |\n"
    assert options_page(fields).endswith(row)


def test_the_page_of_options_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == options_page(FORM_FIELDS), "run: make docs"


def test_the_help_of_an_option_is_a_sentence():
    helps = [field.help for field in FORM_FIELDS.values()]
    assert [text for text in helps if not re.fullmatch(r"[A-Z].*\.", text)] == []


@pytest.mark.parametrize(
    ("field", "text", "why"),
    [
        ("header_line", "-1", "--header-line: '-1' is no number of a line"),
        ("types", "a=colour", "--column-type: 'a=colour' is not of the form title=type"),
        ("quality_codes", "opc", "--quality-codes: 'opc' is none of opc-ua, opc-da, siemens, flag"),
        ("rename", "a", "--rename: 'a' is not of the form old=new"),
        ("sequence", "soon", "--sequence: 'soon' is not a duration"),
    ],
)
def test_a_text_that_states_no_value_names_its_option(field, text, why):
    with pytest.raises(FormFault, match=why):
        read_form({field: (text,)})


def test_all_texts_that_state_no_value_are_named_at_once():
    with pytest.raises(FormFault, match=r"^--header-line: 'x' is no .*; --decimal: 'y' is none of"):
        read_form({"header_line": ("x",), "decimal": ("y",)})
