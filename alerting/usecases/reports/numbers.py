"""The numbers of the newest report on each definition, as a manager reads them."""

from typing import NamedTuple

from pydantic import ValidationError

from alerting.definitions.wording.language import Language
from alerting.ports import ReportHead, Reports
from alerting.reporting.base.messages import money
from alerting.reporting.definition.money import DefinitionNumbers, read_summary, sum_money

_NEWEST = 500


class ReportedNumbers(NamedTuple):
    """The numbers of a definition, and the report that has them."""

    numbers: DefinitionNumbers
    report: ReportHead


def read_numbers(reports: Reports) -> list[ReportedNumbers]:
    """Return the numbers of the newest report on each definition, those with most false alarms and
    misses first. Reports that are damaged, or of a version without numbers, are left out."""
    newest: dict[str, ReportHead] = {}
    for head in reports.newest_reports(_NEWEST):
        if head.definition is not None:
            newest.setdefault(head.definition, head)
    metrics = reports.metrics_of([head.id for head in newest.values()])
    found = []
    for head in newest.values():
        try:
            summary = read_summary(metrics.get(head.id, {}).get("summary"))
        except ValidationError:
            continue
        found.append(ReportedNumbers(summary, head))
    return sorted(
        found,
        key=lambda r: (
            r.numbers.announced - r.numbers.problems - r.numbers.false_alarms,
            r.numbers.title,
        ),
    )


def worth_sentences(found: list[ReportedNumbers], language: Language) -> list[str]:
    """Return a sentence for each currency on what alerts were worth and problems cost; none where
    no definition states its costs."""
    return [
        language.say(
            "The alerts that state their costs were worth {worth}; problems that came cost {lost}.",
            worth=money(one.net.low, one.net.high, one.currency, language),
            lost=money(one.lost.low, one.lost.high, one.currency, language),
        )
        for one in sum_money([r.numbers.money for r in found if r.numbers.money is not None])
    ]
