"""Differences between two revisions of a report: figure, before, after, why."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerting.definitions.wording.language import Language

_VOLATILE = frozenset({"as_of"})
_LISTED = 50


@dataclass(frozen=True)
class Difference:
    """A figure that differs from the revision before: its value before and after as text, and the reason."""

    metric: str
    before: str
    after: str
    why: str

    @property
    def message(self) -> str:
        """Return the difference as a sentence."""
        return f"{self.metric}: {self.before or 'none'} → {self.after or 'none'}" + (f" ({self.why})" if self.why else "")


def describe_difference(difference: Difference, language: Language) -> str:
    """Return a difference as a sentence in a language: names of figures and reasons are translated, values are as they are."""
    none = language.say("none")
    change = language.say(
        "{metric}: {before} → {after}",
        metric=language.translate(difference.metric),
        before=difference.before or none,
        after=difference.after or none,
    )
    return f"{change} ({difference.why})" if difference.why else change


def without_view(metrics: Any) -> Any:
    """Return a report's metrics without the instant of their point-in-time view, which alone makes no new revision."""
    if isinstance(metrics, Mapping):
        return {key: without_view(value) for key, value in metrics.items() if key not in _VOLATILE}
    return [without_view(value) for value in metrics] if isinstance(metrics, list) else metrics


def list_differences(
    before: Mapping[str, str], after: Mapping[str, str], reasons: Sequence[str], limit: int = _LISTED
) -> tuple[Difference, ...]:
    """Return the differences between the key figures of two revisions, in the order of the later one.

    Where no key figure differs, details did, for which the reasons stand alone.
    """
    why = "; ".join(reasons)
    names = [*after, *(name for name in before if name not in after)]
    found = [
        Difference(name, before.get(name, ""), after.get(name, ""), why)
        for name in names
        if before.get(name, "") != after.get(name, "")
    ]
    return tuple(found[:limit]) or (Difference("details", "", "changed", why or "details of episodes changed"),)


def find_reasons(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return why the metrics of a definition's report changed, from the metrics of both revisions."""
    return tuple(_reasons(before, after))


def _reasons(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = ({e["id"]: e for e in m.get("episodes", ())} for m in (before, after))
    both = [(old[id], new[id]) for id in old if id in new]
    yield from _counted(sum(a["verdict"] != b["verdict"] or a["comment"] != b["comment"] for a, b in both), "answer", "late")
    known = sum(a["outcome"] == "undetermined" != b["outcome"] for a, b in both)
    yield from _counted(known, "outcome", "became known")
    changed = sum("undetermined" != a["outcome"] != b["outcome"] for a, b in both)
    yield from _counted(changed, "outcome", "changed")
    yield from _counted(len(new.keys() - old.keys()), "episode", "found in late data")
    yield from _counted(len(old.keys() - new.keys()), "episode", "withdrawn after late data")
    told = len(after.get("reported_misses", ())) - len(before.get("reported_misses", ()))
    yield from _counted(told, "miss", "reported")
    if _problems(before) != _problems(after) and told <= 0:
        yield "late data changed the problems"


def _counted(count: int, noun: str, verb: str) -> Iterator[str]:
    if count > 0:
        plural = "es" if noun.endswith("s") else "s"
        yield f"{count} {noun}{'' if count == 1 else plural} {verb}"


def _problems(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(p["asset"], str(p["start"])) for p in metrics.get("problems", ())]
