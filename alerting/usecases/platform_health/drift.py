"""Compare the last 24 hours of each model's variables with its training, and raise an alert on an
asset where some moved beyond chance."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from alerting.definitions.faults import Conflicting, UserError, first_line
from alerting.definitions.matching import matching_assets
from alerting.definitions.model import ModelDefinition, Revision
from alerting.definitions.wording.language import (
    Styled,
    Value,
    join_first,
    joined,
    template,
    translatable,
)
from alerting.learning.metrics.day_drift import (
    FEW_VALUES,
    check_day,
    day_levels,
    find_onset,
    new_settings,
)
from alerting.learning.metrics.drift_findings import (
    DayLevel,
    DefinitionDrift,
    Dismissal,
    DriftDoubt,
    DriftFinding,
    Proposal,
    describe_moved,
    find_cause,
    go_on,
)
from alerting.learning.metrics.normal_days import DAY, learn_days
from alerting.ports import UpkeepPorts
from alerting.ports.logs import id_logger
from alerting.usecases.definitions.lookup import active
from alerting.usecases.definitions.platform_alerts import DRIFTED, record_faults
from alerting.usecases.definitions.versions import answer_at
from alerting.usecases.platform_health.conditions import MOST_NAMED
from alerting.usecases.platform_health.drift_table import LearnedHours, read_table
from alerting.usecases.report_material.inputs import learned_from

UNSTATED = template("the training in service does not state from which time it learned")
UNTRAINED = template("no model is in service yet")
SHOWN_DAYS = 60
MOST_BESIDE = 5
MOST_DAYS = 366
_ADVICE: Mapping[Proposal, str] = {
    "sensor": template("Mend or calibrate the sensor."),
    "retrain": template("Train again, if the line stays like this."),
    "exclude": template(
        "Train again if the line stays like this, else mark the time as not to learn from."
    ),
}

_log = id_logger(__name__)


def check_drift(platform: UpkeepPorts, as_of: datetime) -> dict[str, str]:
    """Check each definition with a model in service, store what moved, and raise or end the alerts;
    return a sentence on each. Idempotent.

    What cannot be told keeps its findings, and a finding lasts until a check 24 hours after the
    last that found it. One definition that cannot be checked stops no other.
    """
    said = dict[str, str]()
    for revision in active(platform.definitions):
        definition = revision.definition
        if not isinstance(definition, ModelDefinition):
            continue
        before = platform.drift.get(revision.name) or DefinitionDrift(revision.name, as_of)
        try:
            checked = _check_definition(platform, revision, definition, before, as_of)
        except Exception as fault:  # of one definition: the others are checked
            _log.warning("drift not checked: %s", first_line(fault), definition=revision.name)
            said[revision.name] = f"cannot tell: {first_line(fault)}"
            continue
        platform.drift.store_check(checked)
        said[revision.name] = _describe(checked, as_of)
    platform.drift.keep_only(said)
    record_alerts(platform, as_of)
    return said


def record_alerts(platform: UpkeepPorts, at: datetime) -> None:
    """Raise an alert for each asset with findings that no dismissal covers, one for all models that
    read what moved, and end the others. Idempotent."""
    by_asset: dict[str, list[tuple[str, DriftFinding]]] = {}
    for check in platform.drift.all_checks():
        for finding in check.not_dismissed(at):
            by_asset.setdefault(finding.asset, []).append((check.definition, finding))
    faults = {asset: _reason(found) for asset, found in by_asset.items()}
    record_faults(platform.platform_alerts, DRIFTED, faults, at, lambda _: True)


def dismiss_drift(
    platform: UpkeepPorts, name: str, days: int, reason: str, actor: str, now: datetime
) -> list[Dismissal]:
    """Record that a person knows of what moved: no alert on the same variables for some days.

    Raises UserError without a reason, or for a number of days out of range; Conflicting if nothing
    is told any more.
    """
    if not reason.strip():
        raise UserError(translatable("a dismissal needs a reason"))
    if not 1 <= days <= MOST_DAYS:
        raise UserError(
            translatable("days: choose 1 to {number}, not {days}", number=MOST_DAYS, days=days)
        )
    check = platform.drift.get(name)
    assets = {asset.name for asset in platform.assets.all()}
    told = [one for one in check.not_dismissed(now) if one.asset in assets] if check else []
    if not told:
        raise Conflicting(translatable("nothing has moved any more that could be dismissed"))
    until = now + timedelta(days=days)
    made = [Dismissal(f.asset, f.variables, until, actor, reason.strip(), now) for f in told]
    for one in made:
        platform.drift.add_dismissal(name, one)
        after = {"asset": one.asset, "variables": [*one.variables], "until": until.isoformat()}
        platform.audit.add(actor, "dismiss drift", name, now, after=after, why=one.reason)
    return made


def _check_definition(
    platform: UpkeepPorts,
    revision: Revision,
    definition: ModelDefinition,
    before: DefinitionDrift,
    as_of: datetime,
) -> DefinitionDrift:
    """Return the check of a definition at an instant, with the dismissals that are in force."""
    decisions = platform.decisions.for_definition(revision.name)
    answer = answer_at(platform.definitions.revisions(revision.name), decisions, as_of)
    learned = learned_from(decisions, as_of, answer.version)
    checked = DefinitionDrift(revision.name, as_of, answer.version, dismissals=before.dismissals)
    if answer.version is None or learned is None:
        return replace(checked, doubts=(DriftDoubt("", UNSTATED if answer.version else UNTRAINED),))
    same = before.version == answer.version
    findings = list[DriftFinding]()
    doubts = list[DriftDoubt]()
    for asset in matching_assets(definition, platform.assets.all()):
        hours = read_table(platform, definition, asset, learned, as_of)
        found, doubt = find_drift(asset.name, hours)
        if doubt:
            doubts.append(DriftDoubt(asset.name, doubt))
        old = [one for one in before.findings if same and one.asset == asset.name]
        if found is None:
            findings += old if doubt else [one for one in old if one.may_go_on(as_of)]
        else:
            findings.append(replace(go_on(found, old), seen_at=as_of))
    return replace(
        checked,
        learned_from=learned[0],
        learned_until=learned[1],
        findings=tuple(findings),
        doubts=tuple(doubts),
    )


def find_drift(asset: str, hours: LearnedHours) -> tuple[DriftFinding | None, str]:
    """Return what moved on an asset in the last 24 hours, and why something cannot be told, empty
    if all can."""
    table = hours.table
    end = len(table.in_training)
    if end < DAY or not table.values:
        return None, FEW_VALUES
    normal = learn_days(table, end)
    checks = check_day(normal, table, end)
    moved = [one for one in checks if one.moved]
    levels = [one for one in checks if one.aspect == "level"]
    doubt = next((one.doubt for one in levels if one.doubt), "")
    if not moved:
        return None, doubt
    onsets = {one.variable: find_onset(normal, table, one, end) for one in moved}
    described = describe_moved(moved, onsets)
    beside = new_settings(table, end)[:MOST_BESIDE]
    first = described[0].variable
    return DriftFinding(
        asset=asset,
        since=hours.instant(min(one.hour for one in onsets.values())),
        cause=find_cause(described, beside),
        moved=tuple(described),
        beside=tuple(beside),
        days=tuple(
            DayLevel(hours.instant(index), level)
            for index, level in day_levels(table.values[first], end, SHOWN_DAYS)
        ),
    ), doubt


def _reason(found: Sequence[tuple[str, DriftFinding]]) -> str:
    """Return what moved on an asset, since when, and what to do, for the engineer."""
    name, finding = max(found, key=lambda one: len(one[1].moved))
    moved = [
        translatable(
            "{variable} ({level} instead of {expected})",
            variable=one.variable,
            level=Styled(one.level, ".4g"),
            expected=Styled(one.expected, ".4g"),
        )
        for one in finding.moved
    ]
    values: dict[str, Value] = {
        "moved": join_first(moved, MOST_NAMED),
        "since": min(one.since for _, one in found).isoformat(timespec="minutes"),
        "models": join_first(sorted({definition for definition, _ in found}), MOST_NAMED),
    }
    what = (
        translatable(
            "{moved} moved beyond chance since {since} beside {settings}, as never in the "
            "training; read by {models}.",
            settings=join_first(finding.beside, MOST_NAMED),
            **values,
        )
        if finding.beside
        else translatable("{moved} moved beyond chance since {since}; read by {models}.", **values)
    )
    page = translatable("See {page}", page=f"/models/{name}")
    return joined(" ", what, translatable(_ADVICE[finding.proposal]), page)


def _describe(check: DefinitionDrift, at: datetime) -> str:
    told = check.not_dismissed(at)
    parts = [f"{join_first(one.variables, MOST_NAMED)} of {one.asset} moved" for one in told]
    parts += [
        f"cannot tell all of {one.asset or check.definition}: {one.reason}" for one in check.doubts
    ]
    if len(check.findings) > len(told):
        parts.append(f"{len(check.findings) - len(told)} dismissed")
    return "; ".join(parts) or "nothing moved"
