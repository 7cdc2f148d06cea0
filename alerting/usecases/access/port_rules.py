"""The rules of each method of a port for an account with a scope.

An episode, a reading or a shelf is visible by its asset; a definition, its models and reports if
all its assets are.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from alerting.usecases.access import plant_rules
from alerting.usecases.access.operator_rules import OPERATOR_RULES
from alerting.usecases.access.plant_rules import is_reported, is_visible_report
from alerting.usecases.access.rules import (
    Call,
    Check,
    Given,
    Rule,
    Sight,
    allowed,
    asked,
    by_key,
    by_value,
    each,
    one,
    only,
    read_visible,
    refuse,
    writing,
    writing_all,
)

OF_A_DEFINITION = frozenset({
    "definition faulty", "champion unreadable", "approval waiting", "model miscalibrated",
    "training failed", "promotion refused", "model worse than promoted",
})  # fmt: skip
OF_EVERYONE = frozenset({"evaluation late", "database away", "registry away"})
"""Kinds of platform alerts that an account with a scope sees: those on a visible definition or
asset, and, without their reason, those by which any alarm may be missing."""


def _on_asset(sight: Sight, thing: Any) -> bool:
    return sight.sees(thing.asset)


def _named(sight: Sight, thing: Any) -> bool:
    return sight.shows(thing.name)


def _of_definition(sight: Sight, thing: Any) -> bool:
    return sight.shows(thing.definition)


def _asset(sight: Sight, asset: Any) -> bool:
    return sight.sees(asset.name)


def _readable(sight: Sight, asset: Any) -> bool:
    return sight.reads(asset.name)


def _at(position: int, check: Check) -> Check:
    return lambda sight, thing: check(sight, thing[position])


def _advance(sight: Sight, call: Call, given: Given) -> Any:
    if not all(sight.sees(asset) for _, asset in given["before"].keys):
        refuse()
    return call(**given)


def _own(sight: Sight, name: Any) -> bool:
    return bool(name == sight.person)


def _own_account(sight: Sight, account: Any) -> bool:
    return _own(sight, account.id)


def _declarer(sight: Sight, name: Any) -> bool:
    return name == f"sender {sight.person}" or sight.sees_source(name)


def _own_key(sight: Sight, key: str) -> bool:
    return key.startswith(f"{sight.person}:")


def _document(sight: Sight, document: Any) -> bool:
    """Return whether a definition as people wrote it, valid or not, has visible assets only."""
    return sight.part.covers(document.get("assets")) and not sight.part.is_taken(
        str(document.get("name"))
    )


def _revision(sight: Sight, revision: Any) -> bool:
    return sight.part.covers(revision.definition.assets) and _free(sight, revision.name)


def _free(sight: Sight, name: Any) -> bool:
    return not sight.part.is_taken(name)


def _on_run(sight: Sight, call: Call, given: Given) -> Any:
    """Write on a training run of a visible definition; refuse on another one."""
    name = call.port.tags(given["run_id"]).get("definition")
    return call(**given) if sight.shows(name) else refuse()


def _message(sight: Sight, message: Any) -> bool:
    return sight.sees(message.asset) or sight.sees_shelf(message.shelf)


def _known_message(sight: Sight, message: Any) -> bool:
    """Return whether a message is visible, or on a fault of the platform, whose key one knows."""
    return message.key.startswith("platform:") or _message(sight, message)


def _arrival(sight: Sight, arrival: Any) -> bool:
    return all(_on_asset(sight, part) for part in arrival.parts)


def _nothing(_: Sight, __: Call, ___: Given) -> list[Any]:
    return []


def _none(_: Sight, __: Call, ___: Given) -> None:
    return None


def _stored(check: Check, otherwise: Callable[[], Any]) -> Rule:
    """Return a rule for a method that takes the id of a stored thing."""

    def rule(sight: Sight, call: Call, given: Given) -> Any:
        found = call.port.get(given["id"])
        return call(**given) if found is not None and check(sight, found) else otherwise()

    return rule


def _all_assets(sight: Sight, call: Call, _: Given) -> list[Any]:
    return [sight.part.with_position(asset) for asset in call() if _asset(sight, asset)]


def _read_assets(sight: Sight, call: Call, _: Given) -> tuple[list[Any], list[Any]]:
    return [sight.part.with_position(asset) for asset in call()[0] if _asset(sight, asset)], []


def _store_assets(sight: Sight, call: Call, given: Given) -> Any:
    if not all(_asset(sight, asset) for asset in given["assets"]):
        refuse()
    return call(assets=[sight.part.without_position(asset) for asset in given["assets"]])


def _new_types(_: Sight, call: Call, given: Given) -> Any:
    known = {type_.name for type_ in call.port.event_types()}
    return call(**given) if known.isdisjoint(t.name for t in given["types"]) else refuse()


def _load_revisions(sight: Sight, call: Call, _: Given) -> Any:
    parse = call()
    return lambda current: ([one for one in parse(current)[0] if _named(sight, one)], [])


def _of_episodes(sight: Sight, call: Call, given: Given) -> dict[str, Any]:
    return {
        id: tuple(message for message in messages if _message(sight, message))
        for id, messages in call(**given).items()
    }


def _scores(sight: Sight, call: Call, given: Given) -> Any:
    asset = given["asset"]
    if not sight.works_on(given["definition"]) or not (asset is None or sight.sees(asset)):
        return iter(())
    return (score for score in call(**given) if sight.sees(score["asset"]))


def _own_sessions(sight: Sight, call: Call, given: Given) -> Any:
    return call(**{**given, "account": sight.person})


def _alerts(sight: Sight, call: Call, given: Given) -> list[Any]:
    return [
        alert if alert.kind in OF_A_DEFINITION else replace(alert, reason=alert.kind)
        for alert in call(**given)
        if alert.kind in OF_EVERYONE
        or (alert.kind in OF_A_DEFINITION and sight.shows(alert.subject))
        or (alert.kind == "inputs drifted" and sight.sees(alert.subject))
    ]


def _alert(sight: Sight, call: Call, given: Given) -> Any:
    is_own = given["kind"] in OF_A_DEFINITION and _free(sight, given["subject"])
    return call(**given) if is_own else refuse()


_WORKS_ON = asked("definition", Sight.works_on, list)
_SHOWN = asked("definition", Sight.shows, list)
RULES: Mapping[str, Mapping[str, Rule]] = {
    "assets": {
        "all": _all_assets,
        "read_all": _read_assets,
        "find_matching": each(_readable),
        "get": one(_readable),
        "get_many": by_value(_asset),
        "faulty": by_key(Sight.sees),
        "store_assets": _store_assets,
        **dict.fromkeys(("event_types", "has_plants"), allowed),
        "put_event_types": _new_types,
    },
    "readings": {
        "load": asked("asset", _readable, refuse),
        "load_many": writing_all("wanted", lambda sight, wanted: sight.reads(wanted.asset)),
        "load_histories": writing_all("wanted", lambda sight, one: _readable(sight, one.asset)),
        "newest_values": asked("asset", _readable, refuse),
        "index_newest": allowed,
        "newest_readings": read_visible,
        "span": asked("asset", Sight.reads, lambda: None),
    },
    "reading_writes": {
        "match": writing_all("batch", _on_asset),
        "stored": writing_all("keys", _at(0, Sight.sees)),
        "insert": writing_all("rows", _on_asset),
        "update": writing_all("changes", _at(1, _on_asset)),
        "delete_samples": writing_all("rows", _on_asset),
        "stored_events": writing_all("rows", _on_asset),
        "write_events": writing_all("changes", _at(1, _on_asset)),
        "delete_events": writing_all("events", _on_asset),
        "has_events": allowed,
    },
    "rollups": {
        "state": asked("asset", Sight.reads, lambda: None),
        "load": asked("asset", Sight.reads, dict),
    },
    "labels": {
        **dict.fromkeys(("insert", "store_undone"), writing("label", _on_asset)),
        "get": one(_on_asset),
        "in_force": only("assets", Sight.reads),
        "newest_labels": asked("asset", Sight.sees, list),
    },
    "arrivals": {
        "store_arrival": writing("arrival", _arrival),
        "arrived_since": each(_arrival),
        "remove": allowed,
        "evaluated_until": allowed,
        "has_evaluated": allowed,
        "requests": by_key(_at(1, Sight.sees)),
    },
    "definitions": {
        "documents": each(_document),
        "store_document": writing("document", _document),
        "mark_faulty": writing("name", _free),
        "faulty": by_key(Sight.shows),
        "add_revision": writing("revision", _revision),
        # also of definitions with one visible asset, for the work on its episodes
        "revisions": asked("name", Sight.works_on, list),
        "visible_revisions": asked("name", Sight.shows, list),
        "histories": only("names", Sight.works_on),
        "newest_revision": asked("name", Sight.shows, lambda: None),
        "last_number": asked("name", Sight.shows, int),
        "load_revisions": _load_revisions,
        "latest_revisions": each(_named),
    },
    "episodes": {
        "versions": by_key(Sight.shows),
        "insert": writing("episode", _on_asset),
        "write": writing_all("episodes", _on_asset),
        "size": allowed,
        "get": one(_on_asset),
        "get_many": by_value(_on_asset),
        "starting_with": read_visible,
        "find": read_visible,
        "overlapping": asked("asset", Sight.sees, list),
        "over_unacknowledged": read_visible,
        "alarms": read_visible,
        "muted": each(_on_asset),
    },
    "shelves": {
        "insert": writing("shelf", _on_asset),
        "replace": writing("shelf", _on_asset),
        "get": one(_on_asset),
        "in_force": each(_on_asset),
        "for_target": asked("asset", Sight.sees, list),
    },
    **OPERATOR_RULES,
    "notifications": {
        "add": writing_all("notifications", _message),
        "change": writing_all("changes", _at(1, _message)),
        "get": each(_known_message),
        "of_episodes": _of_episodes,
        "raised_since": asked("asset", Sight.sees, list),
    },
    "states": {
        "load_many": writing_all("keys", _at(1, Sight.sees)),
        "watermarks": writing_all("keys", _at(1, Sight.sees)),
        "advance": _advance,
        "versions": allowed,
    },
    "checkpoints": {
        "state_after": asked("asset", Sight.sees, lambda: None),
        "states_before": by_key(_at(1, Sight.sees)),
    },
    "evaluation_plans": {"source_hash": allowed, "get": _none},
    "scores": {"for_interval": _scores},
    "past_evaluations": dict.fromkeys(("for_definition", "for_interval"), each(_on_asset)),
    "derived_features": {
        "get": asked("definition", Sight.works_on, lambda: None),
        "fix": asked("definition", Sight.works_on, refuse),
    },
    "decisions": {
        "for_definition": _WORKS_ON,
        "histories": only("definitions", Sight.works_on),
        "newest_decisions": only("definitions", Sight.works_on),
        "add": writing("decision", _of_definition),
        "file_hashes": _WORKS_ON,
    },
    "models": {
        "model_files": asked("definition", Sight.works_on, refuse),
        "version_tags": asked("definition", Sight.works_on, dict),
        "versions": _WORKS_ON,
        "alias": asked("definition", Sight.works_on, lambda: None),
        "set_alias": asked("definition", Sight.shows, refuse),
    },
    "runs": {  # the id of a run is in the decisions of its definition alone; no link to its page
        "shown": allowed,
        "open_runs": _SHOWN,
        "searches": allowed,
        "tags": allowed,
        "files": allowed,
        "page": _none,
        "log": _on_run,
        "finish": _on_run,
    },
    "drift": {
        "get": asked("definition", Sight.works_on, lambda: None),
        "add_dismissal": asked("definition", Sight.shows, refuse),
    },
    "trainings": {
        "for_definitions": only("definitions", Sight.works_on),
        "end": writing("training", _of_definition),
    },
    "reports": {
        **dict.fromkeys(("add", "store_report"), writing("head", is_visible_report)),
        "record": _stored(is_visible_report, lambda: None),
        "get": one(is_visible_report),
        **dict.fromkeys(("content", "page"), _stored(is_visible_report, lambda: None)),
        **dict.fromkeys(("for_definition", "revisions"), asked("definition", is_reported, list)),
        "of_period": by_key(is_reported),
        "plant_summaries": plant_rules.plant_summaries,
        "newest_reports": plant_rules.newest_reports,
    },
    "predict_jobs": {
        **dict.fromkeys(("insert", "replace"), writing("job", _of_definition)),
        "get": one(_of_definition),
        "all": each(_of_definition),
        "forget": _stored(_of_definition, lambda: None),
    },
    "sources": {
        "documents": each(lambda sight, document: sight.sees(document.get("asset"))),
        "get": one(_on_asset),
        "revisions": asked("name", Sight.sees_source, list),
    },
    "deliveries": {
        "progress": asked("name", Sight.sees_source, refuse),
        "declarations": by_key(_declarer),
        "record": writing("name", Sight.sees_source),
        "count_declared": writing("name", _declarer),
        "note_surplus": writing("name", _declarer),
        "answer": writing("key", _own_key),
        "keep_answer": writing("key", _own_key),
    },
    "routes": {"documents": plant_rules.visible_routes},
    "documents": {"faulty": _nothing},
    "platform_alerts": {
        **dict.fromkeys(("open", "resolved_since"), _alerts),
        **dict.fromkeys(("report", "resolve"), _alert),
    },
    "audit": {"add": allowed, "find": plant_rules.answered_offers},
    "accounts": {
        "get": asked("id", _own, lambda: None),
        "all": each(_own_account),
        "replace": writing("account", _own_account),
    },
    "sessions": {
        "all": _own_sessions,
        "end": _stored(lambda sight, session: _own(sight, session.account), lambda: False),
    },
}
"""The rules of the methods of each port that has a narrowed form."""
