"""A promotion decision as a Markdown page: the decision and its reason, for the engineer who opens the training's run."""

from collections.abc import Mapping, Sequence
from typing import Any

from alerting.learning.metrics.flatten import merge_metrics

METRIC_TITLES = {
    "ap": "average precision",
    "roc_auc": "ROC-AUC",
    "brier": "Brier score",
    "event_recall": "share of problems found",
    "false_alarms_per_week": "false alarms a week and asset",
    "episode_precision": "precision over episodes",
    "time_in_alarm": "share of time in alarm",
    "median_lead_time": "median lead time",
}
# The five metrics by which engineers compare models; MLflow sorts by name, and these names come before all others.
MAIN_METRICS = {
    "event_recall": "1 share of problems found",
    "false_alarms_per_week": "2 false alarms a week and asset",
    "median_lead_time": "3 median lead time in minutes",
    "episode_precision": "4 precision over episodes",
    "ap": "5 average precision",
}
CANDIDATE_METRICS = {key: METRIC_TITLES[key] for key in ("ap", "roc_auc")}
_HEADLINES = {
    "promote": "The challenger is better and goes into service",
    "provisional": "The challenger goes into service provisionally",
    "keep": "The champion stays",
    "cannot_tell": "Nobody can tell which is better; the champion stays",
    "no_challenger": "No challenger: nothing beats the baseline",
    "rejected": "A person rejected the challenger",
    "stale": "Too late: another model has come into service meanwhile",
}
_MOST_VARIABLES = 10


def decision_markdown(proposal: Mapping[str, Any]) -> str:
    """Return the page of a decision, or of a proposal that waits for approval. `proposal`: JSON-able, from the training."""
    waits = ", waiting for approval" if proposal.get("waiting") else ""
    headline = _HEADLINES.get(proposal["verdict"], proposal["verdict"])
    parts = [
        f"# {proposal['definition']}: {headline}{waits}",
        proposal["reason"],
        _comparison_section(proposal),
        _candidates(proposal["leaderboard"]),
        _threshold(proposal["test"]),
        _test(proposal["test"]),
        _importance(proposal.get("importance", {})),
        _data(proposal),
        _answers(proposal),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def side_by_side(proposal: Mapping[str, Any]) -> str:
    """Return champion and challenger as a Markdown table, on their common unseen window.

    Without such a window it shows the challenger's test period.
    """
    evidence = proposal["evidence"]
    metrics_by_model: dict[str, Mapping[str, Any]] = {
        model: merge_metrics(evidence["rows"][model], evidence["at_threshold"][model]) if "rows" in evidence else {}
        for model in ("champion", "challenger")
    }
    challenger = metrics_by_model["challenger"] or proposal["test"]
    lines = [
        f"| {title} | {format_metric(metrics_by_model['champion'], key)} | {format_metric(challenger, key)} |"
        for key, title in METRIC_TITLES.items()
    ]
    versions = (
        f"| | champion {proposal['champion_version'] or '(none)'} | challenger {proposal['challenger_version'] or '(none)'} |"
    )
    return "\n".join([versions, "| --- | ---: | ---: |", *lines])


def headline_metrics(test: Mapping[str, Any]) -> dict[str, float]:
    """Return the five main metrics of the test period, as far as they are known, by their names in MLflow."""
    found = {key: test.get(key) for key in MAIN_METRICS}
    scaled = {key: value / 60 if key == "median_lead_time" else value for key, value in found.items() if value is not None}
    return {MAIN_METRICS[key]: float(value) for key, value in scaled.items()}


def metrics_text(test: Mapping[str, Any]) -> str:
    """Describe the five metrics in one line: `share of problems found 0.8 (0.6 to 1), ...`."""
    return ", ".join(f"{METRIC_TITLES[key]} {format_metric(test, key)}" for key in MAIN_METRICS)


def dataset_lines(profile: Mapping[str, Any]) -> list[str]:
    """Describe the data of a training, one line each."""
    parts = [
        f"{part}: {p['rows']} rows, {p['positives']} before a problem, {_instant(p['start'])} to {_instant(p['end'])} UTC"
        for part, p in profile["parts"].items()
    ]
    whole = (
        f"{profile['problems']} problems on {profile['assets']} assets; {profile['columns']} columns of "
        f"{profile['variables']} variables; hash {profile['hash']}"
    )
    dropped = ", ".join(f"{count} {reason}" for reason, count in profile["dropped"].items() if count)
    return [*parts, whole, *([f"rows left out: {dropped}"] if dropped else []), *profile["notes"]]


def candidate_line(summary: Mapping[str, Any]) -> str:
    """Describe the result of a search in one line."""
    values = ", ".join(f"{title} {format_metric(candidate_metrics(summary), key)}" for key, title in CANDIDATE_METRICS.items())
    cut = ", cut short by the time budget" if summary.get("cut_short") else ""
    return f"{summary['family'].replace('_', ' ')}: {values} out of fold, best of {summary['trials']} trials{cut}"


def decision_lines(proposal: Mapping[str, Any]) -> list[str]:
    """Describe the decision and its reason, one line each."""
    headline = _HEADLINES.get(proposal["verdict"], proposal["verdict"])
    candidates = [candidate_line(line) for line in sorted(proposal["leaderboard"], key=lambda line: -line["ap"])]
    test = [f"challenger, test period: {metrics_text(proposal['test'])}"] if "ap" in proposal["test"] else []
    return [*candidates, *test, f"{headline}. {proposal['reason']}"]


def candidate_metrics(line: Mapping[str, Any]) -> dict[str, Any]:
    """Return a candidate's metrics with their intervals under `intervals`, in the layout of all other metrics."""
    bounds = {key: (line[f"{key}_low"], line[f"{key}_high"]) for key in CANDIDATE_METRICS if f"{key}_low" in line}
    return {**line, "intervals": bounds}


def _comparison_section(proposal: Mapping[str, Any]) -> str:
    evidence = proposal["evidence"]
    if "rows" not in evidence:
        return ""
    window = evidence["window"]
    left_out = (
        f" {evidence['acted_rows']} of them belong to episodes that were acted upon and are left out."
        if evidence["acted_rows"]
        else ""
    )
    return (
        f"## Champion against challenger\n\nBoth judged {window['rows']} instants that neither has seen, "
        f"from {_instant(window['start'])} to {_instant(window['end'])}, with {evidence['events']} problems.{left_out} "
        f"In brackets: 95 % bounds.\n\n{side_by_side(proposal)}"
    )


def _candidates(leaderboard: Sequence[Mapping[str, Any]]) -> str:
    ranked = sorted(leaderboard, key=lambda line: -line["ap"])
    rows = [
        f"| {line['family'].replace('_', ' ')} | {format_metric(metrics, 'ap')} | {format_metric(metrics, 'roc_auc')} "
        f"| {line['trials']}{' (cut short)' if line.get('cut_short') else ''} |"
        for line, metrics in ((line, candidate_metrics(line)) for line in ranked)
    ]
    head = "| candidate | average precision | ROC-AUC | trials |\n| --- | ---: | ---: | ---: |"
    return "\n".join(
        ["## Candidates\n\nOut of fold, walking forward through the training period. In brackets: 95 % bounds.\n", head, *rows]
    )


def _threshold(test: Mapping[str, Any]) -> str:
    if "threshold" not in test:
        return ""
    return f"## Threshold\n\n{test['threshold']:.3g}: {test['threshold_reason']}. See `evidence/threshold.png`."


def _test(test: Mapping[str, Any]) -> str:
    if "ap" not in test:
        return ""
    rows = [f"| {title} | {format_metric(test, key)} |" for key, title in METRIC_TITLES.items()]
    if "n_events" in test:
        rows.append(f"| problems, episodes, false alarms | {test['n_events']}, {test['n_episodes']}, {test['n_false_alarms']} |")
    persistence = test.get("baseline", {}).get("ap")
    beside = f" The last known value alone would have an average precision of {_number(persistence)}." if persistence else ""
    head = "| challenger | figure |\n| --- | ---: |"
    return "\n".join(
        [f"## Test period\n\nScored once, after everything was chosen. In brackets: 95 % bounds.{beside}\n", head, *rows]
    )


def _importance(shares: Mapping[str, float]) -> str:
    if not shares:
        return ""
    whole = sum(shares.values()) or 1.0
    ranked = sorted(shares.items(), key=lambda item: -item[1])
    rows = [f"| {name} | {share / whole:.0%} |" for name, share in ranked[:_MOST_VARIABLES]]
    others = [share for _, share in ranked[_MOST_VARIABLES:]]
    if others:
        rows.append(f"| {len(others)} more | {sum(others) / whole:.0%} |")
    return "\n".join(["## What it looks at\n", "| variable | share |\n| --- | ---: |", *rows])


def _data(proposal: Mapping[str, Any]) -> str:
    profile = proposal.get("dataset")
    if not profile:
        return ""
    rows = [
        f"| {part} | {p['rows']} | {p['positives']} | {_instant(p['start'])} | {_instant(p['end'])} |"
        for part, p in profile["parts"].items()
    ]
    notes = [f"- {note}" for note in [*profile["notes"], *proposal["test"].get("notes", [])]]
    return "\n".join(
        [
            f"## Data\n\nRevision {proposal['revision']} of the definition, as of {_instant(proposal['as_of'])} UTC; "
            f"{profile['columns']} columns of {profile['variables']} variables on {profile['assets']} assets, "
            f"{profile['problems']} problems. Hash `{profile['hash']}`.\n",
            "| part | rows | before a problem | from (UTC) | to (UTC) |\n| --- | ---: | ---: | --- | --- |",
            *rows,
            *(["", *notes] if notes else []),
        ]
    )


def _answers(proposal: Mapping[str, Any]) -> str:
    """Describe the effect of operators' feedback; empty without feedback."""
    texts = [text for text in (proposal.get("answers"), proposal.get("answers_difference")) if text]
    return "\n\n".join(["## Answers of people", *texts]) if texts else ""


def format_metric(metrics: Mapping[str, Any], key: str) -> str:
    """Format one metric with its confidence interval: `0.61 (0.52 to 0.7)`; `-` where it is unknown."""
    bounds, say = metrics.get("intervals", {}).get(key), _minutes if key == "median_lead_time" else _number
    return say(metrics.get(key)) + (f" ({say(bounds[0])} to {say(bounds[1])})" if bounds else "")


def _minutes(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds / 60:.0f} min"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _instant(iso: str) -> str:
    return f"{iso[:10]} {iso[11:16]}"
