"""The result of a trial as one self-contained page, and as lines of text."""

from alerting.demo.trial.result import Interval, TrialResult
from alerting.reporting import messages
from alerting.reporting.templates import render

TITLES = {
    "avoidable_avoided": "avoidable problems that were avoided",
    "avoided_before_retraining": "the same before the first retraining",
    "avoided_after_retraining": "the same after it",
    "avoided_by_timely_advice": "the same, of those that a change at the alert could still avoid",
    "avoidable": "problems that were avoidable",
    "needless_per_day": "needless interventions",
    "interventions_per_day": "interventions",
    "cause_in_first_three": "true alerts with the true cause among the first three variables",
    "problems_left_alone": "problems, line left alone",
    "problems_acted_upon": "problems, line acted upon",
    "problem_minutes_left_alone": "minutes of problems, line left alone",
    "problem_minutes_acted_upon": "minutes of problems, line acted upon",
    "belt_metres_change": "production by acting",
    "good_metres_change": "production within the limit by acting",
    "recall": "problems warned of in time",
    "recall_after_retraining": "the same after retraining with feedback",
    "recall_after_naive_retraining": "the same after retraining without feedback",
    "cost_left_alone": "cost, line left alone",
    "cost_acted_upon": "cost, line acted upon",
    "saved": "saved by acting",
}


def headline(result: TrialResult) -> str:
    """Return the result in one sentence."""
    counts, avoided = result.counts, result.metrics["avoidable_avoided"]
    return (
        f"{counts['avoided']} of {counts['avoidable']} avoidable problems were avoided ({amount(avoided)}; {interval(avoided)}), "
        f"with {amount(result.metrics['needless_per_day'])} needless interventions a day; {counts['not_avoidable']} problems "
        "could not have been avoided by any permitted change."
    )


def render_trial(result: TrialResult, title: str) -> str:
    """Render the page as HTML, without scripts and external resources."""
    return render("trial.html", r=result, title=title, titles=TITLES, headline=headline(result), none=messages.NONE)


def amount(metric: Interval) -> str:
    """Format the value of a metric without its unit; shares as percent."""
    return messages.percent(metric.value) if metric.unit == "%" else messages.number(metric.value)


def interval(metric: Interval) -> str:
    """Format the interval of a metric; empty without one."""
    if metric.low is None or metric.high is None:
        return ""
    written = messages.percent if metric.unit == "%" else messages.number
    return f"{written(metric.low)} to {written(metric.high)}"
