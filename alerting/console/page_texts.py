"""The texts of pages in place of texts that name a command: a page has a button or a link."""

from dataclasses import replace
from functools import cache
from types import MappingProxyType

from alerting.definitions.wording.language import Language, template

ON_PAGES = {
    "definition {name} needs a model, which a preview does not train: apply it as a draft and run "
    "`alerting backtest`": template(
        "definition {name} needs a model, which a preview does not train: save it and train it"
    ),
    "a preview covers at most {duration}; choose a shorter period, or run `alerting backtest`": (
        template("a preview covers at most {duration}; choose a shorter period")
    ),
    "is a draft and not evaluated; show the alerts that it would raise with `alerting backtest "
    "{name}`, then apply it with `state: active`": template(
        "is a draft and not evaluated; its preview shows the alerts that it would raise"
    ),
    "evaluated {where}, for the first time within {duration}, from its present readings on; for "
    "earlier readings: `alerting backtest {name}`": template(
        "evaluated {where}, for the first time within {duration}, from its present readings on; "
        "its preview shows earlier readings"
    ),
    "trains for another question only, or by hand: `alerting train {name}`": template(
        "trains for another question only, or with “Train now” on the page of its models"
    ),
    "trains next at {when} by its schedule, or now with `alerting train {name}`": template(
        "trains next at {when} by its schedule, or with “Train now” on the page of its models"
    ),
    "is new: training starts within two minutes in Airflow (without Airflow: `alerting train "
    "--due`); {until}": template("is new: training starts within two minutes; {until}"),
    "its training is due and starts by itself while the platform runs, or at once with `alerting "
    "train {name}`": template("training starts within two minutes"),
    "its training is due": template("training starts within two minutes"),
    "version {version} waits for approval: `alerting model approve {run}`, or with `--reject "
    "REASON`": template("version {version} waits for approval: compare and decide on its page"),
    "there is no episode {id}; see: alerting episodes": template("there is no alarm {id}"),
}
"""The text of a page by the template that it replaces, with the same values."""


@cache
def without_commands(language: Language) -> Language:
    """Return a language for pages, whose texts name no command."""
    of_pages = {named: language.texts.get(text, text) for named, text in ON_PAGES.items()}
    return replace(language, texts=MappingProxyType({**language.texts, **of_pages}))
