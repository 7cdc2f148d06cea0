"""Open alerts of one asset whose advice points opposite ways."""

from collections.abc import Sequence
from itertools import combinations

from alerting.definitions.wording.language import template, translatable
from alerting.episodes.episode import Episode

_OPPOSITES = (
    template(
        "Opposite advice: this alert says lower {variable}, “{other}” says raise it. Decide which "
        "matters more."
    ),
    template(
        "Opposite advice: this alert says raise {variable}, “{other}” says lower it. Decide which "
        "matters more."
    ),
)


def opposite_advice(episodes: Sequence[Episode]) -> dict[str, list[str]]:
    """Return, by episode id, a sentence for each other open alert that advises the opposite."""
    found: dict[str, list[str]] = {}
    for one, other in combinations(
        [e for e in episodes if e.condition == "open" and e.advice is not None and e.advice.helps],
        2,
    ):
        if one.asset == other.asset:
            directions = _directions(one)
            others = _directions(other)
            for variable in sorted(directions.keys() & others.keys()):
                if directions[variable] != others[variable]:
                    found.setdefault(one.id, []).append(
                        _sentence(variable, directions[variable], other)
                    )
                    found.setdefault(other.id, []).append(
                        _sentence(variable, others[variable], one)
                    )
    return found


def _directions(episode: Episode) -> dict[str, bool]:
    return {
        change.variable: change.after > change.before
        for change in (episode.advice.changes if episode.advice else ())
        if not isinstance(change.after, str) and not isinstance(change.before, str)
    }


def _sentence(variable: str, raises: bool, other: Episode) -> str:
    return translatable(_OPPOSITES[raises], variable=variable, other=other.title)
