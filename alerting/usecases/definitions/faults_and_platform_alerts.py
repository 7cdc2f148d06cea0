"""Faults of definitions, and alerts about the platform itself.

Documents are checked by themselves, against the known assets, beside each other, and by the spacing
of the stored readings.

Alerts are opened on faults that an engineer must correct so that the other alerts can be trusted.
The process that finds a fault opens an alert, and the next one that finds it gone resolves it.
Idempotent.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from alerting.deferred import np
from alerting.definitions.alert_definition import (
    AssetIndex,
    Definition,
    ModelDefinition,
    TrainedDefinition,
    matching_assets,
)
from alerting.definitions.asset_documents import Asset, EventType
from alerting.definitions.faults import DocumentRefused, Fault, shown
from alerting.definitions.fields.definition_checks import (
    event_faults,
    faults_against_assets,
    inhibition_faults,
    inhibitors_of,
    training_warnings,
)
from alerting.definitions.revisions import in_plant_zone
from alerting.definitions.wording.fault_messages import IllegalName
from alerting.definitions.wording.language import (
    Translatable,
    join_with_or,
    joined,
    template,
    translatable,
)
from alerting.kinds.normal_definition import NormalDefinition
from alerting.kinds.reading_spacing import (
    LEAST,
    Lasting,
    NeedsSpacing,
    describe_unfulfillable,
)
from alerting.kinds.registry import kind_of, parse_definition, readable_part
from alerting.ports import (
    Assets,
    DefinitionPorts,
    Definitions,
    Document,
    FaultyDocument,
    PlantPorts,
    PlatformAlerts,
    WantedHistory,
)
from alerting.readings.history import Millis
from alerting.readings.variable_series import regular_distance, rough_duration, value_times
from alerting.usecases.definitions.impossible_alarms import (
    describe_always_suppressed,
    describe_impossible_alarms,
)


@dataclass(frozen=True)
class CheckedDocument:
    """A document after its check: its definition, or for a faulty document the readable part of the
    definition, if any, and the faults."""

    name: str
    definition: Definition | None
    faults: tuple[Fault, ...] = ()


def check_each(
    platform: DefinitionPorts, documents: Sequence[Document], zone: str | None = None
) -> list[CheckedDocument]:
    """Return each document with all its faults: in itself, against the known assets, and beside the
    other definitions as they would then be in force. Clock times without a zone are in `zone`, by
    default the plant's."""
    zone = str(platform.zone) if zone is None else zone
    read = [_in_zone(_read_definition(document), zone) for document in documents]
    definitions = [checked.definition for checked in read if checked.definition is not None]
    assets = _assets_of(platform.assets, definitions)
    types = platform.assets.event_types()
    good = [
        checked.definition
        for checked in read
        if checked.definition is not None and not checked.faults
    ]
    inhibited = _inhibition_faults(platform, good, assets)
    if any(_is_no_name(fault) for checked in read for fault in checked.faults):
        assets = all_assets(platform.assets)
    return [
        replace(
            checked,
            faults=tuple(
                _suggest_names(_all_faults(checked, assets, types), document, assets)
                + inhibited.get(checked.name, [])
            ),
        )
        for checked, document in zip(read, documents, strict=True)
    ]


def read_documents(
    documents: Sequence[Document], assets: AssetIndex, types: Sequence[EventType]
) -> dict[str, Definition | list[Fault]]:
    """Return the definition of each stored document, or its faults, by its name or label."""
    definitions = {}
    for marked in documents:
        document = {k: v for k, v in marked.items() if not k.startswith("_")}
        definitions[label_of(marked)] = read_beside_assets(document, assets, types)
    return definitions


def label_of(document: Document) -> str:
    """Return the name of a stored document, or the label of a document without one."""
    return str(document.get("_label", document.get("name")))


def read_beside_assets(
    document: Document, assets: AssetIndex, types: Sequence[EventType]
) -> Definition | list[Fault]:
    """Return the definition of a document, or all its faults, including faults against the assets
    of the part that can be read."""
    try:
        read = _read_definition(document)
        if read.definition is not None and not read.faults:
            return read.definition
        faults = _suggest_names(_all_faults(read, assets, types), document, assets)
    except Exception as error:  # any content of a document: no document stops the others
        return [_unreadable_fault(error)]
    return list(DocumentRefused(read.name, faults, "definition").faults)


def faults_in_force(
    definition: Definition,
    in_force: Mapping[str, Definition],
    assets: AssetIndex,
    types: Sequence[EventType],
) -> list[Fault]:
    """Return the faults of an active definition against assets and others in force, by name."""
    if definition.state != "active":
        return []
    try:
        faults = faults_against_assets(definition, assets, types)
        if inhibitors_of(definition):
            faults += inhibition_faults(definition, in_force, assets)
    except Exception as error:  # any content of a document: no document stops the others
        return [_unreadable_fault(error)]
    return faults


def _unreadable_fault(error: Exception) -> Fault:
    return Fault(
        "document",
        translatable(
            "cannot be read: {fault}", fault=f"{type(error).__name__}: {shown(str(error))}"
        ),
    )


def all_assets(assets: Assets) -> AssetIndex:
    """Return all valid assets, and the names of those whose documents are faulty."""
    return index_assets(*assets.read_all())


def index_assets(valid: Sequence[Asset], faulty: Sequence[FaultyDocument]) -> AssetIndex:
    """Return assets by name, with the names of those whose documents are faulty."""
    return AssetIndex(valid, {document.name for document in faulty})


def _read_definition(document: Document) -> CheckedDocument:
    try:
        definition = parse_definition(document)
    except DocumentRefused as refusal:
        return CheckedDocument(
            refusal.name, readable_part(document, refusal.faults), tuple(refusal.faults)
        )
    return CheckedDocument(definition.name, definition)


def _in_zone(read: CheckedDocument, zone: str) -> CheckedDocument:
    definition = read.definition
    return read if definition is None else replace(read, definition=in_plant_zone(definition, zone))


def _all_faults(
    read: CheckedDocument, assets: AssetIndex, types: Sequence[EventType]
) -> list[Fault]:
    """Return the faults of a document, and the faults of its definition, or of its readable part,
    against the assets."""
    if read.definition is None or read.definition.state == "retired":
        return list(read.faults)
    paths = {fault.path for fault in read.faults}
    on_assets = faults_against_assets(read.definition, assets, types)
    return [*read.faults, *(fault for fault in on_assets if fault.path not in paths)]


def _suggest_names(faults: Sequence[Fault], document: Document, assets: AssetIndex) -> list[Fault]:
    """Return the faults of a document. If a text is a title instead of the name of an asset or
    variable, its fault suggests the name."""
    named = list(faults)
    for number, fault in enumerate(faults):
        if not _is_no_name(fault):
            continue
        text = str(_value_at(document, fault.path)).casefold()
        titled = [name for name, title in _titles(fault, assets) if title.casefold() == text]
        if titled:
            hint = translatable(
                "that is a title; the name is {names}",
                names=join_with_or(*list(dict.fromkeys(titled))[:3]),
            )
            named[number] = replace(fault, hint=hint)
    return named


def _titles(fault: Fault, assets: AssetIndex) -> Iterator[tuple[str, str]]:
    """Yield names and titles of the assets, or of the variables, that a faulty name may mean."""
    for asset in assets.assets:
        if fault.path.startswith("assets."):
            yield asset.name, asset.title or ""
        else:
            yield from ((name, variable.title or "") for name, variable in asset.variables.items())


def _value_at(document: Any, path: str) -> Any:
    """Return the value at a path of a document; None if the path does not exist."""
    for key in path.split("."):
        if isinstance(document, Mapping):
            document = document.get(key)
        elif isinstance(document, list | tuple) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document


def _is_no_name(fault: Fault) -> bool:
    """Return whether a fault is a text that cannot be the name of an asset or a variable."""
    is_name = fault.path.startswith("assets.") or fault.path.rpartition(".")[2] == "variable"
    return is_name and isinstance(fault, IllegalName)


def _assets_of(stored: Assets, definitions: Sequence[Definition]) -> AssetIndex:
    """Return the assets that decide about these definitions; not all assets without need, because
    there may be very many.

    All assets are needed to suggest names near an unknown or faulty one, and to find where other,
    inhibiting definitions apply.
    """
    if any(map(inhibitors_of, definitions)):
        return all_assets(stored)
    patterns = {pattern for d in definitions for pattern in d.assets}
    matching = AssetIndex(stored.find_matching(patterns))
    return matching if all(map(matching.names_like, patterns)) else all_assets(stored)


def _inhibition_faults(
    platform: DefinitionPorts, definitions: Sequence[Definition], assets: AssetIndex
) -> dict[str, list[Fault]]:
    """Return, by name, the faults of definitions that others inhibit, beside all definitions as
    they would then be in force."""
    if not any(map(inhibitors_of, definitions)):
        return {}
    others = {r.name: r.definition for r in platform.definitions.latest_revisions()} | {
        d.name: d for d in definitions
    }
    return {
        d.name: list(inhibition_faults(d, others, assets))
        for d in definitions
        if d.state != "retired"
    }


_LENGTHS = (timedelta(hours=1), timedelta(days=1), timedelta(days=30), timedelta(days=365))
"""How far before the last reading values are read, until there are enough."""
_MOST_ASSETS = 5


def warnings_of(
    platform: PlantPorts, definition: Definition, until: datetime | None = None
) -> list[str]:
    """Return the warnings to an engineer about a valid definition before it is in service, by its
    newest readings up to `until` (by default all)."""
    targets = matching_assets(definition, platform.assets.find_matching(definition.assets))
    return [
        *_warnings_on(platform, definition, targets, until),
        *_unknown_replacement(platform, definition),
        *_unfulfillable(platform, definition, targets, until),
    ]


def _warnings_on(
    platform: PlantPorts,
    definition: Definition,
    targets: Sequence[Asset],
    until: datetime | None,
) -> Iterable[str]:
    if isinstance(definition, TrainedDefinition):
        return training_warnings(definition, targets)
    if isinstance(definition, NormalDefinition):
        measured = _problem_spacing(platform, definition, targets, until)
        return definition.horizon_warnings(targets, measured)
    return []


def _unknown_replacement(platform: PlantPorts, definition: Definition) -> list[str]:
    ends = definition.life_ends if isinstance(definition, TrainedDefinition) else None
    names = [ends.replaced_by] if ends and ends.replaced_by else []
    types = platform.assets.event_types() if names else []
    return [*map(str, event_faults("replaced_by", names, types))]


def _problem_spacing(
    platform: PlantPorts,
    definition: NormalDefinition,
    targets: Sequence[Asset],
    until: datetime | None,
) -> timedelta:
    """Return the longest usual time between newest values of the problem's variables on some of the
    assets, of those that come regularly."""
    names = definition.problem.variables if definition.problem else ()
    distances = [0]
    for asset in targets[:_MOST_ASSETS] if names else ():
        span = platform.readings.span(asset.name, until)
        if span is not None:
            distances += [
                regular_distance(_newest_times(platform, asset, name, span[1])) or 0
                for name in names
                if name in asset.variables
            ]
    return timedelta(milliseconds=max(distances))


def _unfulfillable(
    platform: PlantPorts,
    definition: Definition,
    targets: Sequence[Asset],
    until: datetime | None,
) -> Iterator[str]:
    """Yield, for each of some assets, the conditions that can never be met with the readings as
    they come."""
    kind = kind_of(definition)
    needing = kind if isinstance(kind, NeedsSpacing) else None
    problem = definition.problem.combination if definition.problem else None
    for asset in targets[:_MOST_ASSETS]:
        variables = {*(needing.spacing_variables(definition, asset) if needing else ())}
        variables |= {*(problem.variables if problem else ())}
        names = sorted(variables & {*asset.variables})
        span = platform.readings.span(asset.name, until)
        last = span and span[1]
        times = {name: _newest_times(platform, asset, name, last) for name in names if last}
        sentences = [*needing.describe_spacing(definition, times)] if needing else []
        if problem:
            sentences += describe_unfulfillable(Lasting(problem, timedelta(0), timedelta(0)), times)
        sentences = sentences or [*describe_impossible_alarms(platform, definition, asset, last)]
        if definition.suppression and last:
            sentences += describe_always_suppressed(platform, definition.suppression, asset, last)
        yield from (
            joined(": ", asset.name, sentence) if len(targets) > 1 else sentence
            for sentence in sentences
        )


def _newest_times(platform: PlantPorts, asset: Asset, name: str, last: datetime) -> Millis:
    times: Millis = np.empty(0, np.int64)
    for length in _LENGTHS:
        history = platform.readings.load(
            WantedHistory(asset, last - length, last, [name], with_events=False)
        )
        times = value_times(history, name)
        if len(times) >= (200 if length == _LENGTHS[0] else 5 * LEAST):
            break
    return times


UNREADABLE = template("champion unreadable")
FAULTY = template("definition faulty")
DOCUMENT = template("document faulty")
WAITING = template("approval waiting")
MISCALIBRATED = template("model miscalibrated")
DRIFTED = template("inputs drifted")
DATABASE = template("database away")
LOAD = template("alarm load")
FAILING = template("channel failing")
UNREPORTED = template("report failed")
CLOCK = template("clock wrong")
EVALUATION = template("evaluation")
"""The subject of the fault that the clock was ahead of now when targets were evaluated."""


def record_future_evaluation(alerts: PlatformAlerts, until: datetime, now: datetime) -> None:
    """Open an alert: targets were evaluated, or definitions applied, up to an instant after now."""
    reason = describe_future_evaluation(until, now)
    record_faults(alerts, CLOCK, {EVALUATION: reason}, now, lambda _: False)


def describe_future_evaluation(until: datetime, now: datetime) -> Translatable:
    """Say that targets were evaluated, or definitions applied, up to an instant after now."""
    return translatable(
        "the clock of the database was {ahead} ahead and has gone back: alerts had been evaluated "
        "or applied until {until}. They are evaluated again from their newest readings on, by "
        "themselves. Synchronise this clock (NTP, hardware clock in UTC)",
        ahead=rough_duration(until - now),
        until=until,
    )


def record_model_faults(
    alerts: PlatformAlerts, evaluated: Sequence[str], faults: Mapping[str, str], at: datetime
) -> None:
    """Open and resolve alerts after an evaluation of these definitions. `faults`: by name, why a
    champion could not be read."""
    if evaluated:
        current = {name: faults[name] for name in evaluated if name in faults}
        record_faults(alerts, UNREADABLE, current, at, lambda name: name in evaluated)


def record_faults(
    alerts: PlatformAlerts,
    kind: str,
    faults: Mapping[str, str],
    at: datetime,
    is_checked: Callable[[str], bool],
) -> None:
    """Open alerts on these faults (reason by subject), and resolve alerts on the other checked
    subjects."""
    still = {a.subject: a.reason for a in alerts.open() if a.kind == kind}
    for subject, reason in faults.items():
        if still.get(subject) != reason:
            alerts.report(kind, subject, reason, at)
    for subject in still.keys() - faults.keys():
        if is_checked(subject):
            alerts.resolve(kind, subject, at)


def forget_deleted(
    alerts: PlatformAlerts,
    definitions: Definitions,
    documented: Collection[str] | None,
    at: datetime,
) -> None:
    """Resolve the alerts on definitions without a document, and the alerts on models of definitions
    that use no model. `documented`: definitions with a document; None: all of them."""
    for alert in alerts.open():
        is_deleted = (
            alert.kind == FAULTY and documented is not None and alert.subject not in documented
        )
        idle = alert.kind in (UNREADABLE, WAITING) and not _uses_champion(
            definitions, alert.subject
        )
        if is_deleted or idle:
            alerts.resolve(alert.kind, alert.subject, at)


def _uses_champion(definitions: Definitions, name: str) -> bool:
    newest = definitions.newest_revision(name)
    return (
        newest is not None
        and newest.definition.state == "active"
        and isinstance(newest.definition, ModelDefinition)
    )


def record_definition_faults(
    alerts: PlatformAlerts, name: str, faults: Sequence[str], at: datetime
) -> None:
    """Open an alert on a faulty definition with these reasons; without reasons, resolve it."""
    if faults:
        alerts.report(FAULTY, name, "; ".join(faults), at)
    else:
        alerts.resolve(FAULTY, name, at)


def record_waiting(
    alerts: PlatformAlerts, name: str, why: Translatable | None, at: datetime
) -> None:
    """Open an alert on a challenger that waits for approval, and say why it waits; None: resolve
    it."""
    if why is None:
        alerts.resolve(WAITING, name, at)
    else:
        reason = translatable("{why} Answer: on the page of its models", why=why)
        alerts.report(WAITING, name, reason, at)


def why_waiting(reason: str) -> str:
    """Return why a version waits, from the reason of its alert, without the commands that
    answer."""
    why = reason.values.get("why") if isinstance(reason, Translatable) else None
    return why if isinstance(why, str) else reason


def record_document_faults(
    alerts: PlatformAlerts,
    documents: Sequence[FaultyDocument],
    at: datetime,
    collections: Collection[str] | None = None,
) -> None:
    """Open alerts on these faulty documents, which are left out; resolve the other alerts of these
    collections (by default of all)."""
    record_faults(
        alerts,
        DOCUMENT,
        {f"{d.collection}/{d.name}": "; ".join(d.reasons) for d in documents},
        at,
        lambda subject: collections is None or subject.split("/")[0] in collections,
    )
