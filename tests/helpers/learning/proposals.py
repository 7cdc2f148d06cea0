"""Proposals of trainings."""

from typing import Any

from alerting.learning.selection.decision import Proposal
from alerting.ports import DecisionRecord
from tests.builders import at

PROFILE = {
    "hash": "f2",
    "parts": {
        "train": {
            "rows": 900,
            "positives": 41,
            "start": "2026-01-01T00:00:00Z",
            "end": "2026-02-01T00:00:00Z",
        }
    },
    "assets": 1,
    "problems": 12,
    "variables": 4,
    "columns": 30,
    "dropped": {},
    "notes": [],
}
LIGHTGBM = {
    "family": "lightgbm",
    "trials": 3,
    "trials_asked": 3,
    "cut_short": False,
    "ap": 0.61,
    "roc_auc": 0.9,
    "intervals": {},
}


def proposal(**changes: Any) -> Proposal:
    """Return a proposal to promote version 1 of the definition `too-moist`, which has no
    champion."""
    document = {
        "definition": "too-moist",
        "revision": 1,
        "question": "asked",
        "run_id": "run",
        "as_of": at(10),
        "verdict": "promote",
        "promote": True,
        "waiting": False,
        "provisional": False,
        "reason": "It is better.",
        "challenger_version": 1,
        "champion_version": None,
        "refreshed_version": None,
        "leaderboard": [LIGHTGBM],
        "test": {},
        "evidence": {},
        "importance": {},
        "dataset": PROFILE,
        "findings": [],
        "answers": "",
    }
    return Proposal.model_validate(document | changes)


def carried_out(made: Proposal, actor: str = "platform", **changes: Any) -> DecisionRecord:
    """Return the record of a proposal that was carried out."""
    stored = {
        "definition": made.definition,
        "at": made.as_of,
        "revision": made.revision,
        "challenger_version": made.challenger_version,
        "champion_version": made.champion_version,
        "promoted": made.promote,
        "provisional": made.provisional,
        "verdict": made.verdict,
        "reason": made.reason,
        "details": made.details,
        "evidence": made.evidence,
        "run_id": made.run_id,
        "actor": actor,
    }
    return DecisionRecord(**stored | changes)
