"""Sentences of a report on its problems: how many were announced or found, and when."""

from alerting.definitions.wording.language import Language
from alerting.reporting.definition.report_metrics import ReportMetrics
from alerting.reporting.phrases import seconds


def describe_problems(m: ReportMetrics, language: Language) -> str:
    """Describe how many problems were announced, or found."""
    total = len(m.problems)
    announced = len(m.problems) - len(m.missed)
    if not total:
        return language.say("No problem occurred while the alert was evaluated.")
    if m.is_detector:
        return describe_found(m, language)
    if m.horizon_s == 0:
        return language.say_count(
            "{found} of {number} bad unit was found.",
            "{found} of {number} bad units were found.",
            total,
            found=announced,
        )
    lead = m.lead_time.value
    if lead is None:
        return language.say_count(
            "{found} of {number} problem was predicted.",
            "{found} of {number} problems were predicted.",
            total,
            found=announced,
        )
    if lead < 0:
        return language.say_count(
            "{found} of {number} problem was found, typically {late} after it had begun.",
            "{found} of {number} problems were found, typically {late} after they had begun.",
            total,
            found=announced,
            late=seconds(-lead, language),
        )
    return language.say_count(
        "{found} of {number} problem was predicted, typically {lead} ahead.",
        "{found} of {number} problems were predicted, typically {lead} ahead.",
        total,
        found=announced,
        lead=seconds(lead, language),
    )


def describe_found(m: ReportMetrics, language: Language) -> str:
    """Describe the problems that a detector found while they lasted, and those that it
    announced."""
    total = len(m.problems)
    number_found = total - len(m.missed)
    late = "" if m.delay.value is None else seconds(m.delay.value, language)
    ahead = "" if m.lead_time.value is None else seconds(m.lead_time.value, language)
    if late and ahead:
        return language.say_count(
            "{found} of {number} problem was found: {lasting} while it lasted, typically after "
            "{late}; {announced} announced, typically {lead} ahead.",
            "{found} of {number} problems were found: {lasting} while they lasted, typically after "
            "{late}; {announced} announced, typically {lead} ahead.",
            total,
            found=number_found,
            lasting=len(m.delays),
            late=late,
            announced=len(m.announced),
            lead=ahead,
        )
    if late:
        return language.say_count(
            "{found} of {number} problem was found while it lasted, typically after {late}.",
            "{found} of {number} problems were found while they lasted, typically after {late}.",
            total,
            found=number_found,
            late=late,
        )
    if ahead:
        return language.say_count(
            "{found} of {number} problem was announced, typically {lead} ahead.",
            "{found} of {number} problems were announced, typically {lead} ahead.",
            total,
            found=number_found,
            lead=ahead,
        )
    return language.say_count(
        "{found} of {number} problem was found.",
        "{found} of {number} problems were found.",
        total,
        found=number_found,
    )


def found_late(m: ReportMetrics) -> list[float]:
    """Return, for each problem that no alarm announced but that an alarm found while it lasted, the
    seconds from its start to the raise."""
    raised = sorted((e.raised_at, e.asset) for e in m.episodes)
    delays = []
    for p in m.missed:
        end = p.end or m.end
        inside = [at for at, asset in raised if asset == p.asset and p.start < at < end]
        delays += [(inside[0] - p.start).total_seconds()] if inside else []
    return delays
