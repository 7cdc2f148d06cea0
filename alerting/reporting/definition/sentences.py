"""The sentences at the head of a definition's report: problems, false alarms, the model, and how much is known."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, tzinfo
from math import ceil

from alerting.learning.metrics.confidence import wilson_interval
from alerting.reporting.definition.decisions import DecisionMade
from alerting.reporting.messages import seconds
from alerting.reporting.metrics import ReportMetrics
from alerting.reporting.sentences import sentence

KNOWN_WITHIN = 0.1  # half of the interval of a share that counts as known
_LEAST_TOGETHER = 3
_BLOCK_HOURS = 4
_DAYS = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")
_MOST_CASES = 10_000
_WEEK_S = 7 * 86_400


def head_sentences(metrics: ReportMetrics, zone: tzinfo = UTC) -> tuple[str, ...]:
    """Return the sentences that matter first. `zone`: of the times of day in which false alarms come together."""
    return tuple(_sentences(metrics, zone))


def _sentences(m: ReportMetrics, zone: tzinfo) -> Iterator[str]:
    if not m.evaluated:
        yield "The alert was not evaluated in this period."
        return
    if m.horizon_s is not None:
        yield _problems(m)
    yield _false_alarms(m, zone)
    decision = m.model.decisions[-1] if m.model and m.model.decisions else None
    if decision is not None:
        yield _decision(decision)
    if m.model and m.model.drifted:
        named = ", ".join(v.replace("_", " ") for v in m.model.drifted[:3])
        yield f"Inputs are clearly not those of the training: {named}."
    known = how_much_is_known(m)
    if known:
        yield known


def _problems(m: ReportMetrics) -> str:
    total, found = len(m.problems), len(m.problems) - len(m.missed)
    if not total:
        return "No problem occurred while the alert was evaluated."
    if m.horizon_s == 0:
        return f"{found} of {total} bad {'unit was' if total == 1 else 'units were'} found."
    announced = f"{found} of {total} {'problem was' if total == 1 else 'problems were'} announced"
    lead = m.lead_time.value
    return f"{announced}." if lead is None else f"{announced}, {seconds(lead)} before on median."


def _false_alarms(m: ReportMetrics, zone: tzinfo) -> str:
    wrong, total, undetermined = m.outcomes["false_alarm"], len(m.episodes), m.outcomes["undetermined"]
    if not total:
        return "No alert was raised."
    if undetermined == total:
        return (
            "1 alert was raised; it has no outcome yet."
            if total == 1
            else f"{total} alerts were raised; none has an outcome yet."
        )
    have = "has" if undetermined == 1 else "have"
    waiting = f" {undetermined} of {total} alerts {have} no outcome yet." if undetermined else ""
    if not wrong:
        known = total - undetermined
        return f"No false alarm was found among {known} {'alert' if known == 1 else 'alerts'} with an outcome.{waiting}"
    noun = "false alarm" if wrong == 1 else "false alarms"
    together = _come_together(m, zone)
    return f"{wrong} {noun}{f', {together}' if together else ''}.{waiting}"


def _come_together(m: ReportMetrics, zone: tzinfo) -> str:
    """Return when or where most false alarms come, if at least three and half of them do so; else an empty text."""
    wrong = [e for e in m.episodes if e.outcome == "false_alarm"]
    local = [e.raised_at.astimezone(zone) for e in wrong]
    (day, block), times = Counter((t.weekday(), t.hour // _BLOCK_HOURS) for t in local).most_common(1)[0]
    if times >= _LEAST_TOGETHER and 2 * times >= len(wrong):
        begin = block * _BLOCK_HOURS
        some = "all" if times == len(wrong) else str(times)
        return f"{some} of them on {_DAYS[day]} between {begin:02}:00 and {begin + _BLOCK_HOURS:02}:00"
    asset, times = Counter(e.asset for e in wrong).most_common(1)[0]
    if times >= _LEAST_TOGETHER and 2 * times >= len(wrong) and len(m.evaluated) > 2:
        return f"all of them on {asset}" if times == len(wrong) else f"{times} of them on {asset}"
    return ""


def _decision(decision: DecisionMade) -> str:
    reason = sentence(decision.reason)
    if decision.verdict == "rollback":
        return f"The model was rolled back: {reason}"
    if decision.verdict == "refreshed":
        return f"The model was fitted again on the newest data: {reason}"
    if decision.promoted:
        return f"A new model, version {decision.version}, went into service: {reason}"
    return f"The new model was refused: {reason}"


def how_much_is_known(m: ReportMetrics) -> str:
    """Return how many cases there are, and in about how many weeks the share is known within ten points.

    Empty where it is known already, or where there is no case from which a rate follows.
    """
    found, problems = len(m.problems) - len(m.missed), len(m.problems)
    right, known = m.outcomes["hit"] + m.outcomes["avoided"], len(m.episodes) - m.outcomes["undetermined"]
    shares = [(right, known), *([(found, problems)] if m.horizon_s is not None else [])]
    cases = [f"{found} of {problems} announced"] if m.horizon_s is not None and problems else []
    cases += [f"{right} of {known} right"] if known else []
    calendar = (m.end - m.start).total_seconds() / _WEEK_S
    weeks = [w for count, total in shares if total and (w := weeks_until_known(count, total, calendar)) is not None]
    if not weeks or max(weeks) == 0:
        return ""
    longest = max(weeks)
    more = "about one more week" if longest == 1 else f"about {longest} more weeks"
    points = round(100 * KNOWN_WITHIN)
    return f"{', '.join(cases)}; {more} at this rate until each share is known within {points} points."


def weeks_until_known(count: int, total: int, weeks: float) -> int | None:
    """Return after how many more weeks at this rate the Wilson interval of a share has a half-width of ten points.

    0 if it has already; None if more cases are needed than can be expected at all.
    """
    if total == 0 or weeks <= 0:
        return None
    share = count / total
    for needed in range(total, _MOST_CASES):
        low, high = wilson_interval(share * needed, needed)
        if high - low <= 2 * KNOWN_WITHIN:
            return ceil((needed - total) / (total / weeks) - 1e-9)
    return None
