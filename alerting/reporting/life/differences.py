"""Differences between two revisions of a report: figure, before, after, why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerting.definitions.wording.language import (
    Language,
    joined,
    template,
    templates,
    translatable,
    translatable_count,
)

_ANSWERS = templates("{number} answer late", "{number} answers late")
_KNOWN = templates("{number} outcome became known", "{number} outcomes became known")
_CHANGED = templates("{number} outcome changed", "{number} outcomes changed")
_FOUND = templates("{number} episode found in late data", "{number} episodes found in late data")
_WITHDRAWN = templates(
    "{number} episode withdrawn after late data", "{number} episodes withdrawn after late data"
)
_MISSES = templates("{number} miss reported", "{number} misses reported")


@dataclass(frozen=True)
class Difference:
    """A figure that differs from the revision before: before, after, and why."""

    metric: str
    before: str
    after: str
    why: str

    @property
    def message(self) -> str:
        """Return the difference as a sentence."""
        return f"{self.metric}: {self.before or 'none'} → {self.after or 'none'}" + (
            f" ({self.why})" if self.why else ""
        )


def describe_difference(difference: Difference, language: Language) -> str:
    """Return a difference as a sentence in a language."""
    none = language.say("none")
    change = language.say(
        "{metric}: {before} → {after}",
        metric=language.translate(difference.metric),
        before=language.digits(language.translate(difference.before)) or none,
        after=language.digits(language.translate(difference.after)) or none,
    )
    return f"{change} ({language.translate(difference.why)})" if difference.why else change


def without_view(metrics: Any) -> Any:
    """Return metrics without their instant, which alone makes no new revision."""
    if isinstance(metrics, Mapping):
        return {key: without_view(value) for key, value in metrics.items() if key != "as_of"}
    return [without_view(value) for value in metrics] if isinstance(metrics, list) else metrics


def list_differences(
    before: Mapping[str, str], after: Mapping[str, str], reasons: Sequence[str], limit: int = 50
) -> tuple[Difference, ...]:
    """Return the key figures that differ between two revisions, in the order of the later one.

    Where no key figure differs, details did, for which the reasons stand alone.
    """
    why = joined("; ", *reasons)
    names = [*after, *(name for name in before if name not in after)]
    found = [
        Difference(name, before.get(name, ""), after.get(name, ""), why)
        for name in names
        if before.get(name, "") != after.get(name, "")
    ]
    details = Difference(
        template("details"),
        "",
        translatable("changed"),
        why or translatable("details of episodes changed"),
    )
    return tuple(found[:limit]) or (details,)


def find_reasons(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return why the metrics of a report changed between two revisions."""
    return tuple(_reasons(before, after))


def _reasons(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = ({e["id"]: e for e in m.get("episodes", ())} for m in (before, after))
    both = [(old[id], new[id]) for id in old if id in new]
    yield from _counted(
        sum(a["verdict"] != b["verdict"] or a["comment"] != b["comment"] for a, b in both), _ANSWERS
    )
    known = sum(a["outcome"] == "undetermined" != b["outcome"] for a, b in both)
    yield from _counted(known, _KNOWN)
    changed = sum("undetermined" != a["outcome"] != b["outcome"] for a, b in both)
    yield from _counted(changed, _CHANGED)
    yield from _counted(len(new.keys() - old.keys()), _FOUND)
    yield from _counted(len(old.keys() - new.keys()), _WITHDRAWN)
    told = len(after.get("reported_misses", ())) - len(before.get("reported_misses", ()))
    yield from _counted(told, _MISSES)
    if _problems(before) != _problems(after) and told <= 0:
        yield translatable("late data changed the problems")


def _counted(count: int, forms: tuple[str, str]) -> Iterator[str]:
    if count > 0:
        yield translatable_count(*forms, count)


def _problems(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(p["asset"], str(p["start"])) for p in metrics.get("problems", ())]
