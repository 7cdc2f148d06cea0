"""Messages of the check of a file, with the fields of its source."""

from alerting.definitions.wording.language import translatable
from alerting.usecases.ingestion.tables import name_options

_FIELDS = {
    "--asset-column": "asset_column",
    "--asset": "asset",
    "--time-format": "time_format",
    "--time": "time",
    "--tz": "timezone",
    "--sep": "separator",
    "--decimal": "decimal:",
    "--encoding": "encoding",
    "--rename": "variables",
    "--only": "others",
    "--missing": "missing",
    "--duplicates": "duplicates:",
    "--skip-bad": "bad_lines: skip",
    "--quality-codes": "quality_codes",
    "--type-column": "events.type_column",
    "--type-prefix": "events.type_prefix",
    "--type": "events.type",
    "--end-column": "events.end_column",
    "--lasting": "events.lasting: true",
    "--instant": "events.lasting: false",
}
"""The field of a source that does what an option of `alerting import` does, which messages of the
check name."""


def name_fields(text: str) -> str:
    """Return a message of the check with the fields of a source in place of options."""
    return name_options(text, _FIELDS)


def no_table(file: str) -> str:
    """Return the refusal of a file that is no table of time stamps: who chooses a path may not read
    by messages what is there."""
    return translatable(
        "{file} was not imported: no table with a column of time stamps was found in it, as the "
        "source describes it (time, time_format, separator, encoding); nothing of it is quoted "
        "here",
        file=file,
    )
