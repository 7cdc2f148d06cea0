"""The sentences at the head of a report: problems, false alarms, the model, what is known."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, tzinfo
from math import ceil
from statistics import median

from alerting.definitions.wording.language import ENGLISH, Language, template
from alerting.learning.metrics.confidence import wilson_interval
from alerting.reporting.base.messages import seconds
from alerting.reporting.base.sentences import sentence
from alerting.reporting.definition.conclusion import TRUST_MESSAGES, Judgement
from alerting.reporting.definition.decisions import DecisionMade
from alerting.reporting.definition.material import describe_value
from alerting.reporting.definition.metrics import ReportMetrics

KNOWN_WITHIN = 0.1  # half of the interval of a share that counts as known
_LEAST_TOGETHER = 3
_BLOCK_HOURS = 4
_DAYS = (
    template("Mondays"),
    template("Tuesdays"),
    template("Wednesdays"),
    template("Thursdays"),
    template("Fridays"),
    template("Saturdays"),
    template("Sundays"),
)
_MOST_CASES = 10_000
_MOST_IN_MAIL = 3


def head_sentences(
    metrics: ReportMetrics, zone: tzinfo = UTC, language: Language = ENGLISH
) -> tuple[str, ...]:
    """Return the sentences that matter first. `zone`: of the times of false alarms."""
    return tuple(_sentences(metrics, zone, language))


def _sentences(m: ReportMetrics, zone: tzinfo, language: Language) -> Iterator[str]:
    if not m.evaluated and m.unscored:
        yield language.say("No scores of this period are stored any more: there are no rates.")
        return
    if not m.evaluated:
        yield language.say("The alert was not evaluated in this period.")
        return
    if m.values is not None or not m.has_alarm:
        yield language.translate(describe_value(m.values))
    if m.horizon_s is not None:
        yield _problems(m, language)
    if late := found_late(m):
        yield language.say_count(
            "{number} more was found while it lasted, typically after {after}.",
            "{number} more were found while they lasted, typically after {after}.",
            len(late),
            after=seconds(median(late), language),
        )
    if m.has_alarm:
        yield _false_alarms(m, zone, language)
    decision = m.model.decisions[-1] if m.model and m.model.decisions else None
    if decision is not None:
        yield _decision(decision, language)
    known = how_much_is_known(m, language) if m.has_alarm else ""
    if known:
        yield known


def mail_sentences(
    metrics: ReportMetrics, judgement: Judgement, zone: tzinfo = UTC, language: Language = ENGLISH
) -> tuple[str, ...]:
    """Return what a mail says of a report: its conclusion, first sentences and first advice."""
    steps = (sentence(language.translate(action)) for action in judgement.actions[:1])
    return (
        sentence(language.translate(TRUST_MESSAGES[judgement.trust])),
        *head_sentences(metrics, zone, language)[:_MOST_IN_MAIL],
        *(language.say("The report advises: {step}", step=step) for step in steps),
    )


def _problems(m: ReportMetrics, language: Language) -> str:
    total = len(m.problems)
    found = len(m.problems) - len(m.missed)
    if not total:
        return language.say("No problem occurred while the alert was evaluated.")
    if m.horizon_s == 0:
        return language.say_count(
            "{found} of {number} bad unit was found.",
            "{found} of {number} bad units were found.",
            total,
            found=found,
        )
    lead = m.lead_time.value
    if lead is None:
        return language.say_count(
            "{found} of {number} problem was predicted.",
            "{found} of {number} problems were predicted.",
            total,
            found=found,
        )
    if lead < 0:
        return language.say_count(
            "{found} of {number} problem was found, typically {late} after it had begun.",
            "{found} of {number} problems were found, typically {late} after they had begun.",
            total,
            found=found,
            late=seconds(-lead, language),
        )
    return language.say_count(
        "{found} of {number} problem was predicted, typically {lead} ahead.",
        "{found} of {number} problems were predicted, typically {lead} ahead.",
        total,
        found=found,
        lead=seconds(lead, language),
    )


def found_late(m: ReportMetrics) -> list[float]:
    """Return, of each problem that no alarm announced but one found while it lasted, the seconds
    from its start to the raise."""
    raised = sorted((e.raised_at, e.asset) for e in m.episodes)
    found = []
    for p in m.missed:
        end = p.end or m.end
        inside = [at for at, asset in raised if asset == p.asset and p.start < at < end]
        found += [(inside[0] - p.start).total_seconds()] if inside else []
    return found


def _false_alarms(m: ReportMetrics, zone: tzinfo, language: Language) -> str:
    wrong = m.outcomes["false_alarm"]
    total = len(m.episodes)
    undetermined = m.outcomes["undetermined"]
    if not total:
        return language.say("No alarm was raised.")
    if undetermined == total and m.horizon_s is None:
        return language.say_count(
            "{number} alarm was raised; no operator has said whether it was right.",
            "{number} alarms were raised; no operator has said whether they were right.",
            total,
        )
    if undetermined == total:
        return language.say_count(
            "{number} alarm was raised; it has no outcome yet.",
            "{number} alarms were raised; none has an outcome yet.",
            total,
        )
    waiting = language.say_count(
        "{number} of {total} alarms has no outcome yet.",
        "{number} of {total} alarms have no outcome yet.",
        undetermined,
        total=total,
    )
    if not wrong:
        first = language.say_count(
            "No false alarm was found among {number} alarm with an outcome.",
            "No false alarm was found among {number} alarms with an outcome.",
            total - undetermined,
        )
    else:
        alarms = language.say_count("{number} false alarm", "{number} false alarms", wrong)
        first = ", ".join([alarms, *_come_together(m, zone, language)]) + "."
    return f"{first} {waiting}" if undetermined else first


def _come_together(m: ReportMetrics, zone: tzinfo, language: Language) -> Iterator[str]:
    """Yield when or where most false alarms come, if at least three and half of them do so."""
    wrong = [e for e in m.episodes if e.outcome == "false_alarm"]
    local = [e.raised_at.astimezone(zone) for e in wrong]
    (day, block), times = Counter((t.weekday(), t.hour // _BLOCK_HOURS) for t in local).most_common(
        1
    )[0]
    if times >= _LEAST_TOGETHER and 2 * times >= len(wrong):
        begin = block * _BLOCK_HOURS
        times_of_day = {
            "start": f"{begin:02}:00",
            "end": f"{begin + _BLOCK_HOURS:02}:00",
            "day": language.translate(_DAYS[day]),
        }
        if times == len(wrong):
            yield language.say("all of them on {day} between {start} and {end}", **times_of_day)
        else:
            yield language.say(
                "{times} of them on {day} between {start} and {end}", times=times, **times_of_day
            )
        return
    found, times = Counter(e.asset for e in wrong).most_common(1)[0]
    asset = m.asset_title(found)
    if times >= _LEAST_TOGETHER and 2 * times >= len(wrong) and len(m.evaluated) > 2:
        if times == len(wrong):
            yield language.say("all of them on {asset}", asset=asset)
        else:
            yield language.say("{times} of them on {asset}", times=times, asset=asset)


def _decision(decision: DecisionMade, language: Language) -> str:
    reason = sentence(language.translate(decision.summary or decision.reason))
    if decision.verdict == "rollback":
        return language.say("The model was rolled back: {reason}", reason=reason)
    if decision.verdict == "refreshed":
        return language.say(
            "The model was fitted again on the newest data: {reason}", reason=reason
        )
    if decision.promoted:
        return language.say(
            "A new model, version {version}, went into service: {reason}",
            version=decision.version or 0,
            reason=reason,
        )
    return language.say("The new model was refused: {reason}", reason=reason)


def how_much_is_known(m: ReportMetrics, language: Language = ENGLISH) -> str:
    """Return the number of cases, and how many weeks until the share is known.

    Empty where it is known already, or where there is no case from which a rate follows.
    """
    found = len(m.problems) - len(m.missed)
    problems = len(m.problems)
    right = m.outcomes["hit"] + m.outcomes["avoided"]
    known = len(m.episodes) - m.outcomes["undetermined"]
    shares = [(right, known), *([(found, problems)] if m.horizon_s is not None else [])]
    cases = []
    if m.horizon_s is not None and problems:
        cases.append(language.say("{count} of {total} predicted", count=found, total=problems))
    if known:
        cases.append(language.say("{count} of {total} right", count=right, total=known))
    calendar = (m.end - m.start).total_seconds() / (7 * 86_400)
    weeks = [
        w
        for count, total in shares
        if total and (w := weeks_until_known(count, total, calendar)) is not None
    ]
    if not weeks or max(weeks) == 0:
        return ""
    return language.say_count(
        "{cases}; after about {number} more week of data the shares are known within ten points.",
        "{cases}; after about {number} more weeks of data the shares are known within ten points.",
        max(weeks),
        cases=", ".join(cases),
    )


def weeks_until_known(count: int, total: int, weeks: float) -> int | None:
    """Return in how many weeks a share is known within ten points; None if never."""
    if total == 0 or weeks <= 0:
        return None
    share = count / total
    for needed in range(total, _MOST_CASES):
        low, high = wilson_interval(share * needed, needed)
        if high - low <= 2 * KNOWN_WITHIN:
            return ceil((needed - total) / (total / weeks) - 1e-9)
    return None
