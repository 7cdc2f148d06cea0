"""Sentences of a report on its problems: how many were announced or found, and when."""

from alerting.definitions.wording.language import Language, template, templates
from alerting.reporting.definition.report_metrics import ReportMetrics
from alerting.reporting.phrases import seconds


def describe_problems(m: ReportMetrics, language: Language) -> str:
    """Describe how many problems were announced, or found, and when."""
    total = len(m.problems)
    delay = m.delay.value if m.is_detector else None
    lead = m.lead_time.value
    nothing = (
        (
            not m.evaluated and m.unscored,
            template("No scores of this period are stored any more: there are no rates."),
        ),
        (not m.evaluated, template("The alert was not evaluated in this period.")),
        (not total, template("No problem occurred while the alert was evaluated.")),
    )
    if text := next((text for holds, text in nothing if holds), ""):
        return language.say(text)
    return language.say_count(
        *_forms_of_problems(m, delay, lead),
        total,
        found=total - len(m.missed),
        lasting=len(m.delays),
        announced=len(m.announced),
        lead=seconds(lead, language),
        late=seconds(-(lead or 0.0) if delay is None else delay, language),
    )


def _forms_of_problems(
    m: ReportMetrics, delay: float | None, lead: float | None
) -> tuple[str, str]:
    cases = (
        (
            delay is not None and lead is not None,
            templates(
                "{found} of {number} problem was found: {lasting} while it lasted, typically after "
                "{late}; {announced} announced, typically {lead} ahead.",
                "{found} of {number} problems were found: {lasting} while they lasted, typically "
                "after {late}; {announced} announced, typically {lead} ahead.",
            ),
        ),
        (
            delay is not None,
            templates(
                "{found} of {number} problem was found while it lasted, typically after {late}.",
                "{found} of {number} problems were found while they lasted, typically after "
                "{late}.",
            ),
        ),
        (
            m.is_detector and lead is not None,
            templates(
                "{found} of {number} problem was announced, typically {lead} ahead.",
                "{found} of {number} problems were announced, typically {lead} ahead.",
            ),
        ),
        (
            m.is_detector,
            templates(
                "{found} of {number} problem was found.", "{found} of {number} problems were found."
            ),
        ),
        (
            m.horizon_s == 0,
            templates(
                "{found} of {number} bad unit was found.",
                "{found} of {number} bad units were found.",
            ),
        ),
        (
            lead is None,
            templates(
                "{found} of {number} problem was predicted.",
                "{found} of {number} problems were predicted.",
            ),
        ),
        (
            lead is not None and lead < 0,
            templates(
                "{found} of {number} problem was found, typically {late} after it had begun.",
                "{found} of {number} problems were found, typically {late} after they had begun.",
            ),
        ),
        (
            True,
            templates(
                "{found} of {number} problem was predicted, typically {lead} ahead.",
                "{found} of {number} problems were predicted, typically {lead} ahead.",
            ),
        ),
    )
    return next(forms for holds, forms in cases if holds)


def found_late(m: ReportMetrics) -> list[float]:
    """Return, for each problem that no alarm announced but that an alarm found while it lasted, the
    seconds from its start to the raise."""
    raised = sorted((e.raised_at, e.asset) for e in m.episodes)
    first = (
        next(
            (at for at, asset in raised if asset == p.asset and p.start < at < (p.end or m.end)),
            p.start,
        )
        for p in m.missed
    )
    delays = ((at - p.start).total_seconds() for at, p in zip(first, m.missed, strict=True))
    return [delay for delay in delays if delay]
