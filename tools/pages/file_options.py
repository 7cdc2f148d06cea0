"""The page of options of a file, drawn from the fields of its form."""

from alerting.definitions.file_form import Fields
from alerting.definitions.form_fields import BY_COLUMN

_INTRODUCTION = """# Options of a file

Made from the fields of the form of a file by `make docs`; do not edit. How a file is read is [found in
it](import.md#detection-and-options-that-replace-it); what is to be read otherwise is stated: as an option of `alerting import`, as a choice of this name in the
browser, or as a field of a [source](sources.md#files) of kind `files`. What is stated once is used for
[the next file of the form](import.md#the-next-file-of-the-same-form), except where *each time* stands.

| option | browser | source | meaning |
|---|---|---|---|
"""  # noqa: E501


def options_page(fields: Fields) -> str:
    """Return Markdown with a row for each field that can be stated."""
    rows = []
    for field in fields.values():
        values = "|".join(field.values) or field.metavar
        option = field.option if field.kind == "switch" else f"{field.option} {values}"
        label = f"{field.label}, beside the column" if field.kind in BY_COLUMN else field.label
        source = f"`{field.source.rstrip(':')}`" if field.source else ""
        notes = "" if field.is_reused else " Each time."
        notes += "" if len(field.what) > 1 else f" Of {field.what[0]} only."
        cells = (f"`{option}`", label, source, field.help + notes)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n")
    return _INTRODUCTION + "".join(rows)
