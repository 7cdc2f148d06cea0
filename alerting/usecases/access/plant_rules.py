"""Rules by which an account with a scope sees the page of the plant: of visible definitions."""

from dataclasses import replace
from typing import Any

from alerting.definitions.wording.language import template
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
