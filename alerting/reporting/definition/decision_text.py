"""Results of trainings and promotion decisions for engineers: as a Markdown page on the run of a
training, and as lines of a command."""

from collections.abc import Mapping, Sequence
from typing import Any

from alerting.definitions.alert_definition import ModelDefinition
from alerting.definitions.wording.language import (
    Interval,
    Styled,
    Translatable,
    count_in_english,
    format_threshold,
    in_english,
    joined,
    spoken_threshold,
)
from alerting.learning.score_metrics import merge_metrics
from alerting.learning.selection.decision import (
    CandidateSummary,
    DatasetProfile,
    Proposal,
)
from alerting.reporting.definition.decision_reason import COUNTED
from alerting.reporting.definition.unseen_text import count_in_parts, describe_test
from alerting.reporting.phrases import seconds
from alerting.reporting.templates import render

METRIC_TITLES = {
    "ap": "average precision",
    "event_recall": "share of problems found",
    "false_alarms_per_week": "false alarms a week and asset",
    "median_lead_time": "median lead time",
    "episode_precision": "precision over episodes",
    "time_in_alarm": "share of time in alarm",
    "roc_auc": "ROC-AUC",
    "brier": "Brier score",
}
# The five metrics by which engineers compare models; MLflow sorts by name, and these names come
# before all others.
MAIN_METRICS = {
    "event_recall": "1 share of problems found",
    "false_alarms_per_week": "2 false alarms a week and asset",
    "median_lead_time": "3 median lead time in minutes",
    "episode_precision": "4 precision over episodes",
    "ap": "5 average precision",
}
_HEADLINES = {
    "promote": "The {model} goes into service",
    "provisional": "The {model} goes into service",
    "keep": "The champion stays",
    "refreshed": "The champion stays, refitted on the newest data",
    "cannot_tell": "The champion stays",
    "no_challenger": "No model goes into service",
    "rejected": "Not promoted",
    "stale": "Not promoted",
}

_DROPPED = {
    "immature": "too recent to know",
    "no_sample": "problem variable not measured",
    "inside_problem": "problem already present",
    "recovery": "just after a problem",
    "suppressed": "suppressed by design",
}


def drop_reason(code: str) -> str:
    """Return why rows were left out of a dataset, in words."""
    return _DROPPED.get(code, code.replace("_", " "))


def decision_markdown(proposal: Proposal) -> str:
    """Return the page of a decision, or of a proposal that waits for approval."""
    page = render(
        "page/decision.md",
        p=proposal,
        headline=_headline(proposal),
        count=count_in_english,
        comparison=side_by_side(proposal),
        chance=chance_lines(
            {**proposal.evidence, **({"statistics": None} if "rows" in proposal.evidence else {})}
        ),
        alert=proposed_alert(proposal.evidence),
        candidates=[c.model_dump() | {"title": c.title} for c in ranked(proposal.leaderboard)],
        cut_short=[*cut_short_lines(proposal.leaderboard), *proposal.failures],
        candidate_titles=candidate_titles(proposal.leaderboard),
        titles=metric_titles(proposal.test),
        test=count_in_parts(proposal.test),
        found=describe_test(proposal.test),
        metric=format_metric,
        counts=counts(proposal.test),
        threshold=format_threshold,
        most=10,
    )
    return page.rstrip("\n") + "\n"


def _headline(proposal: Proposal) -> str:
    model = "refitted champion" if proposal.verdict == "refreshed" else _model_word(proposal)
    if proposal.approved_by is not None:
        return f"{proposal.approved_by} approved the {model}, which goes into service"
    if proposal.waiting:
        return f"The {model} waits for a person"
    if proposal.verdict == "no_challenger" and proposal.champion_version is not None:
        return _HEADLINES["keep"]
    return _HEADLINES.get(proposal.verdict, proposal.verdict).format(model=model)


def _model_word(proposal: Proposal) -> str:
    """Return the word for the model of a training: nothing is challenged by the first one."""
    return "first model" if proposal.champion_version is None else "challenger"


def side_by_side(proposal: Proposal) -> str:
    """Return both models as a Markdown table, on their unseen window or the test period."""
    evidence = proposal.evidence
    rows = [
        (row["title"], row["champion"], row["challenger"]) for row in evidence.get("compared", ())
    ]
    if not rows:
        metrics: dict[str, Mapping[str, Any]] = {
            model: merge_metrics(evidence["rows"][model], evidence["at_threshold"][model])
            if "rows" in evidence
            else {}
            for model in ("champion", "challenger")
        }
        challenger = metrics["challenger"] or proposal.test
        rows = [
            (title, format_metric(metrics["champion"], key), format_metric(challenger, key))
            for key, title in METRIC_TITLES.items()
        ]
    head = (
        f"| | champion {proposal.champion_version or '(none)'} | {_model_word(proposal)} "
        f"{proposal.challenger_version or '(none)'} |"
    )
    lines = (f"| {' | '.join(map(str, row))} |" for row in rows)
    return "\n".join([head, "| --- | ---: | ---: |", *lines])


def headline_metrics(test: Mapping[str, Any]) -> dict[str, float]:
    """Return the main metrics of the test period that are known, by their names in MLflow."""
    in_minutes = {**test, "median_lead_time": (test.get("median_lead_time") or 0) / 60}
    measured = (key for key in MAIN_METRICS if test.get(key) is not None)
    return {MAIN_METRICS[key]: float(in_minutes[key]) for key in measured}


def metrics_text(test: Mapping[str, Any]) -> str:
    """Describe the five metrics in one line: `share of problems found 0.8 (0.6 to 1), ...`."""
    return ", ".join(f"{METRIC_TITLES[key]} {format_metric(test, key)}" for key in MAIN_METRICS)


def describe_experiment(definition: ModelDefinition) -> str:
    """Describe the trainings of a definition for the page that lists them."""
    title = definition.title or definition.name
    assets = ", ".join(definition.assets)
    return (
        f"**{title}**\n\n{definition.training_text}, for {assets}.\n\nA run is one training; the "
        "runs below it are the families of models that it tried. Its metrics 1 to 5 are those of "
        "the test period, which no training saw. Its description says which model went into "
        "service, and why."
    )


def period_lines(profile: DatasetProfile) -> list[str]:
    """Describe the periods of a training with their rows, one line each."""
    form = (
        "{name}: {rows} rows, {positives} labelled as a problem, {period}"
        if profile.columns
        else "{name}: {rows} readings, {period}"
    )
    return [
        in_english(
            form,
            name=name,
            rows=Styled(part.rows, "count"),
            positives=Styled(part.positives, "count"),
            period=Interval(part.start, part.end),
        )
        for name, part in profile.parts.items()
    ]


def learned_lines(profile: DatasetProfile) -> list[str]:
    """Return from which rows a training learned; nothing without any."""
    part = profile.parts.get("train")
    if part is None:
        return []
    forms = (
        ("{number} row", "{number} rows")
        if profile.columns
        else ("{number} reading", "{number} readings")
    )
    rows = count_in_english(*forms, part.rows)
    before = f" ({part.positives:,} of them before a problem)" if profile.problems else ""
    period = Interval(part.start, part.end)
    return [in_english("Learned from {rows}, {period}.", rows=f"{rows}{before}", period=period)]


def cut_short_lines(leaderboard: Sequence[CandidateSummary]) -> list[str]:
    """Return a sentence on searches that a ceiling ended; none without one."""
    ended = [
        f"{candidate.title} after {candidate.trials} of {candidate.trials_asked}"
        for candidate in leaderboard
        if candidate.cut_short
    ]
    if not ended:
        return []
    return [
        f"cut short by learning.time_budget (trials done): {', '.join(ended)}; all trials: a "
        "longer time_budget"
    ]


def candidate_metrics(candidate: CandidateSummary) -> str:
    """Describe the metrics of a candidate: `average precision 0.61 (0.52 to 0.7), ...`."""
    return ", ".join(
        f"{title} {format_metric(vars(candidate), key)}"
        for key, title in candidate_titles([candidate]).items()
    )


def ranked(leaderboard: Sequence[CandidateSummary]) -> list[CandidateSummary]:
    """Return the candidates, the best first; where nothing could be warned of, by CRPS."""
    return sorted(leaderboard, key=lambda c: (c.ap is None, -(c.ap or 0), c.crps or 0))


def candidate_titles(leaderboard: Sequence[CandidateSummary]) -> dict[str, str]:
    """Return the titles of the metrics by which candidates are compared; CRPS where nothing could
    be warned of."""
    is_of_values = any(candidate.ap is None for candidate in leaderboard)
    return (
        {"crps": "CRPS"} if is_of_values else {key: METRIC_TITLES[key] for key in ("ap", "roc_auc")}
    )


def result_line(proposal: Proposal) -> Translatable:
    """Return the decision, its reason and what was counted: one verdict, which says whether to rely
    on the model."""
    headline = _headline(proposal)
    test = proposal.test
    if proposal.promote and not proposal.waiting and test.get("n_events") and not test["n_found"]:
        headline += ", but do not rely on it yet: it announced no problem on unseen data"
    return in_english(
        "{headline}. {stated}",
        headline=headline,
        stated=joined(" ", proposal.reason, proposal.details),
    )


def chance_lines(evidence: Mapping[str, Any]) -> list[str]:
    """Return the figures for statisticians: of the comparison with the champion, of the test
    against chance, and of the predicted values."""
    tests = (
        evidence.get("chance", {}).get("message"),
        evidence.get("values", {}).get("statistics"),
    )
    return [line for line in (evidence.get("statistics"), *tests) if line]


def result_lines(proposal: Proposal) -> list[str]:
    """Return what a decision rests on, and what to do, for engineers."""
    decide = f"To decide: alerting model approve {proposal.run_id}  (or with --reject REASON)"
    return [
        *unseen_lines(proposal.test),
        *cut_short_lines(proposal.leaderboard),
        *proposal.failures,
        *([decide] if proposal.waiting else []),
    ]


def unseen_lines(test: Mapping[str, Any]) -> list[str]:
    """Return what a model found in the period that it had not seen, from which risk on it alarms,
    and the notes on it."""
    sentence = describe_test(test)
    lines: list[str] = [] if sentence is None else [sentence]
    if reason := test.get("threshold_reason"):
        lines.append(f"Alarm from a risk of {spoken_threshold(test['threshold'])}: {reason}.")
    return [*lines, *test.get("notes", ())]


def proposed_alert(evidence: Mapping[str, Any]) -> str:
    """Return the definition, as YAML, that a training proposes where there is nothing to forecast,
    or a person decides on a model that announces little; empty elsewhere."""
    chance = evidence.get("chance", {})
    onset = None if chance.get("passed") else chance.get("onset")
    objections = [evidence[name] for name in COUNTED if name in evidence]
    return next((str(facts["alert"]) for facts in (onset, *objections) if facts), "")


def format_metric(metrics: Mapping[str, Any], key: str) -> str:
    """Format a metric with its interval: `0.61 (0.52 to 0.7)`; `-` where it is unknown."""
    value = metrics.get(key)
    bounds = metrics.get("intervals", {}).get(key)
    say = seconds if key == "median_lead_time" else "{:.3g}".format
    return (
        "-"
        if value is None
        else say(value) + (f" ({say(bounds[0])} to {say(bounds[1])})" if bounds else "")
    )


def metric_lines(test: Mapping[str, Any]) -> list[str]:
    """Describe the metrics of a test period, one line each, with the counts behind them."""
    behind = counts(test)
    test = count_in_parts(test)
    titles = {
        key: title
        for key, title in metric_titles(test).items()
        if key != "median_lead_time" or test.get(key) is not None
    }
    return [
        *(
            f"{title}: {format_metric(test, key)}{behind.get(key, '')}"
            for key, title in titles.items()
        ),
    ]


def metric_titles(test: Mapping[str, Any]) -> dict[str, str]:
    """Return the titles of the metrics of a test period; of parts without weeks."""
    in_parts = {"false_alarms_per_week": "false alarms in 1,000 parts"}
    return METRIC_TITLES | (in_parts if test.get("units") else {})


def counts(test: Mapping[str, Any]) -> dict[str, str]:
    """Return, by metric, the counts behind it, as the end of its line."""
    if test.get("n_events") is None:
        return {}
    left_out = len(test.get("problems_in_recovery", ()))
    outside = (
        f"; {left_out} more began in the recovery or hold-off after another one" if left_out else ""
    )
    rate = test["false_alarms_per_week"]
    assets = test.get("n_assets", 1)
    on_all = (
        ""
        if rate is None or assets == 1 or test.get("units")
        else f"; {rate * assets:.3g} on all {assets} assets together"
    )
    episodes = count_in_english("{number} episode", "{number} episodes", test["n_episodes"])
    precision = test.get("episode_precision")
    counted = test["n_false_alarms"] / (1 - precision) if precision not in (None, 1) else 0
    repeated = (
        ", where a long false one counts once for each horizon that it lasts"
        if round(counted) > test["n_episodes"]
        else ""
    )
    late = test.get("n_with_problem", 0)
    return {
        "episode_precision": f", {late:,} of them with the problem itself" if late else "",
        "event_recall": f", {test['n_found']:,} of {test['n_events']:,}{outside}",
        "false_alarms_per_week": f", {test['n_false_alarms']:,} in {episodes}{repeated}{on_all}",
    }
