"""Notes of a report on itself: period, revision, changes, and earlier revisions."""

from dataclasses import dataclass, field

from alerting.definitions.wording.language import LanguageCode, language
from alerting.reporting.base.templates import render
from alerting.reporting.life.differences import Difference

_BEFORE = "</header>"


@dataclass(frozen=True)
class ReportLife:
    """Statements of a report on its life. `period`: of the calendar. `unseen`: see `ReportHead`.

    `differences`: from the revision before, empty for the first one. `language`: of the page.
    """

    period: str | None = None
    revision: int = 1
    unseen: bool = False
    differences: tuple[Difference, ...] = field(default_factory=tuple)
    language: LanguageCode = "en"


def with_life(page: str, life: ReportLife) -> str:
    """Return the page of a report with what it says of its life at the end of its head."""
    text = render("life/life.html", language(life.language), life=life).strip()
    return page.replace(_BEFORE, f"{text}\n{_BEFORE}", 1) if text else page
