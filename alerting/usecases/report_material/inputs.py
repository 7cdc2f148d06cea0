"""Inputs of a report beside episodes: decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from alerting.alarm_kpis.intervals import Interval
from alerting.definitions.fields.alarm import ALARM_RULE
from alerting.ports import DecisionRecord
from alerting.reporting.definition.decisions import DecisionMade, summarise_decision
from alerting.reporting.page.decision_text import proposed_alert

OF_ALARMS = ("event_recall", "episode_precision", "false_alarms_per_week")


def decisions_made(records: Sequence[DecisionRecord], end: datetime) -> list[DecisionMade]:
    """Return the decisions before `end`; a promotion without metrics has the last ones."""
    found: list[DecisionMade] = []
    expected: Mapping[str, float] = {}
    intervals: Mapping[str, tuple[float, float]] = {}
    for r in records:
        if r.at >= end:
            break
        is_comparable = r.evidence.get("alarm_rule") == ALARM_RULE
        own = {
            k: v
            for k, v in r.evidence.get("expected", {}).items()
            if v is not None and (is_comparable or k not in OF_ALARMS)
        }
        if own or not r.promoted:
            expected = own
            intervals = {
                k: (low, high)
                for k, (low, high) in r.evidence.get("expected_intervals", {}).items()
            }
        found.append(
            DecisionMade(
                at=r.at,
                verdict=r.verdict,
                promoted=r.promoted,
                version=r.challenger_version,
                champion=r.champion_version,
                reason=r.reason,
                actor=r.actor,
                run_id=r.run_id,
                expected=expected,
                summary=summary_of(r),
                expected_intervals=intervals,
                alert=proposed_alert(r.evidence),
            )
        )
    return found


def unfitted_times(records: Sequence[DecisionRecord], asset: str, end: datetime) -> list[Interval]:
    """Return when the model had nothing for an asset: too few readings to learn from."""
    fitted = {
        r.challenger_version: r.evidence["fitted_on"] for r in records if "fitted_on" in r.evidence
    }
    promoted = [r for r in records if r.promoted and r.at < end]
    ends = [*(following.at for following in promoted[1:]), end]
    return [
        (r.at, until)
        for r, until in zip(promoted, ends, strict=False)
        if r.challenger_version in fitted and asset not in fitted[r.challenger_version]
    ]


def summary_of(record: DecisionRecord) -> str:
    """Return why a decision was made, for people."""
    return summarise_decision(
        record.verdict, record.champion_version, record.actor, record.reason, record.evidence
    )
