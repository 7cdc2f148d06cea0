"""Rules by which an account with a scope sees reports, routes and the page of the plant: of
visible definitions, assets and plants."""

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import filter as filter_names
from typing import Any

from alerting.definitions.wording.language import template
from alerting.reporting.life.settings import plant_of_report, report_subject
from alerting.usecases.access.rules import Call, Given, Sight

OFFER_APPLIED = template("proposal applied")
OFFER_REFUSED = template("proposal refused")
"""The entries of the audit by which people answer a proposal on a definition."""


def plant_summaries(sight: Sight, call: Call, given: Given) -> dict[str, Any]:
    """Return the numbers of visible definitions alone."""
    return {
        period: replace(
            found,
            summaries={name: one for name, one in found.summaries.items() if sight.shows(name)},
            failed=tuple(name for name in found.failed if sight.shows(name)),
        )
        for period, found in call(**given).items()
    }


def answered_offers(sight: Sight, call: Call, given: Given) -> list[Any]:
    """Return the answers to proposals on visible definitions; no other entry of the audit."""
    if given["wanted"].what not in (OFFER_APPLIED, OFFER_REFUSED):
        return []
    return [entry for entry in call(**given) if sight.shows(entry.subject)]


def is_reported(sight: Sight, subject: Any) -> bool:
    """Return whether a report is visible, by its subject: a definition, or a plant."""
    plant = plant_of_report(subject)
    return sight.shows(subject) if plant is None else sight.sees(plant)


def is_visible_report(sight: Sight, head: Any) -> bool:
    """Return whether a report is visible."""
    return is_reported(sight, head.definition)


def newest_reports(sight: Sight, call: Call, given: Given) -> Any:
    """Return the newest reports on visible definitions and plants."""
    plants = filter(None, map(report_subject, sight.part.plants))
    return call(**{**given, "definitions": sight.part.definitions | set(plants)})


def visible_routes(sight: Sight, call: Call, _: Given) -> list[Any]:
    """Return the routes that may notify of a visible asset, without the names of others."""
    names = {
        "assets": sight.part.assets,
        "definitions": sight.part.definitions_met,
        "plants": sight.part.plants_met,
    }
    found = []
    for document in call():
        match = document.get("match", {})
        if not isinstance(match, Mapping):
            continue
        given = {key: match[key] for key in names if match.get(key) is not None}
        if not given.get("plants"):
            given.pop("plants", None)  # an empty list means every plant
        if any(not isinstance(patterns, list | tuple) for patterns in given.values()):
            continue
        kept = {
            key: [p for p in patterns if isinstance(p, str) and filter_names(names[key], p)]
            for key, patterns in given.items()
        }
        if all(kept.values()):
            found.append({**document, "match": {**match, **kept}} if kept else document)
    return found
