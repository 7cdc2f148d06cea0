"""The models of a definition for its page: trainings under way, versions that wait for a decision,
and the findings of each model."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from fastapi import Request
from markupsafe import Markup

from alerting.adapters.calls_with_deadline import ask_at_once
from alerting.console.plant.trend_picture import trend_of_variables
from alerting.console.rendering import language_of, zone_of
from alerting.definitions.alert_definition import (
    Definition,
    ModelDefinition,
    TrainedDefinition,
    fixed_threshold,
    matching_assets,
)
from alerting.definitions.asset_documents import Asset
from alerting.definitions.wording.language import (
    Language,
    Styled,
    Translatable,
    template,
    translatable,
)
from alerting.learning.predicted_and_measured import LEAST_SAMPLES, ServedValues
from alerting.learning.score_metrics import merge_metrics
from alerting.learning.selection.decision import Proposal
from alerting.ports import ModelUnavailable, Platform
from alerting.readings.history import from_millis, to_millis
from alerting.reporting.charts import figure, time_ticks
from alerting.reporting.definition.decision_reason import explain_waiting, summarise_decision
from alerting.reporting.definition.decision_text import (
    candidate_titles,
    cut_short_lines,
    format_metric,
    metric_lines,
    proposed_alert,
    ranked,
    side_by_side,
    unseen_lines,
)
from alerting.reporting.definition.unseen_text import describe_unseen
from alerting.reporting.model_charts import (
    calibration_plot,
    curve_plot,
    importance_bars,
    operating_points,
)
from alerting.reporting.phrases import NONE, number, seconds
from alerting.reporting.variable_charts import Fan, Panel, panel_plot, problem_levels
from alerting.usecases.definitions.faults_and_platform_alerts import DRIFTED, MISCALIBRATED
from alerting.usecases.definitions.versions import require_revision
from alerting.usecases.model_registry import EVIDENCE, ModelEvidence
from alerting.usecases.operators.asset_overview import newest_importance
from alerting.usecases.training.due import TrainingStep, training_steps, training_under_way
from alerting.usecases.training.training_requests import ModelReport, model_report
from alerting.usecases.trend_samples import load_served_values

STATE_NAMES = {
    "waiting": translatable("waits for a decision"),
    "training": translatable("in training"),
    "requested": translatable("training requested"),
    "failed": translatable("training failed"),
    "cancelled": translatable("training cancelled"),
    "due": translatable("not trained yet"),
    "refused": translatable("no model"),
    "serving": translatable("in service"),
}
_COMPARED = {
    "event_recall": template("Problems found"),
    "false_alarms_per_week": template("False alarms a week and asset"),
    "median_lead_time": template("Median lead time"),
    "episode_precision": template("Alarms that are right"),
    "time_in_alarm": template("Time in alarm"),
    "ap": template("Average precision of the scores"),
}


def model_values(request: Request, platform: Platform, name: str) -> dict[str, Any]:
    """Return the models of a definition for its page. Raises NotFound."""
    definition = require_revision(platform.definitions, name).definition
    now = platform.clock.now()
    if not isinstance(definition, ModelDefinition):
        return {"line": None}
    platform = _asked_at_once(platform, name)
    report = model_report(platform, name)
    history = report.history
    decisions = report.decisions
    evidence = report.evidence
    assets = platform.assets.all()
    variables = {
        name: variable.title
        for asset in assets
        for name, variable in asset.variables.items()
        if variable.title
    }
    drifting = {(DRIFTED, asset.name) for asset in assets}
    measured = newest_importance(decisions)
    shown = measured.evidence["importance"]["variables"] if measured else {}
    return {
        "line": report.line,
        "states": STATE_NAMES,
        "model_history": history,
        "values": value_shapes(platform, definition, assets, request),
        "without_alarm": next(  # whether the values of the version in service serve alone
            (
                "values" in d.evidence
                for d in reversed(decisions)
                if d.promoted
                and history["champion"] is not None
                and d.challenger_version == history["champion"]
            ),
            False,
        ),
        "under_way": training_under_way(
            history["unfinished"], now, datetime.now(UTC), platform.line_speed()
        ),
        "training": _training_values(history["training"]),
        "importance": importance_bars(shown, variables, language_of(request)) if measured else None,
        "measured": measured,
        "waiting": report.waiting,
        "is_curve_in_force": report.is_curve_in_force,
        "why_waiting": explain_proposal(report.waiting),
        "proposed": propose_alert(report),
        "comparison": comparison_rows(report.waiting, language_of(request)),
        "evidence": evidence,
        "unseen": report.evidence
        and describe_unseen(report.evidence.version, report.evidence.test),
        "alarm_at": fixed_threshold(definition),
        "steps": _list_steps(platform, report, now),
        "variables": variables,
        "curve": describe_curve(evidence, definition),
        **_model_charts(evidence, definition, language_of(request)),
        "provisional": next(  # without remarks on the search, which stand with the candidates
            (
                summarise_decision(replace(d, evidence={**d.evidence, "cut_short": None}))
                for d in reversed(decisions)
                if d.promoted
            ),
            "",
        ),
        "decisions": [
            (d, summarise_decision(d), proposed_alert(d.evidence))
            for d in list(reversed(decisions))[:20]
        ],
        "alerts": [
            alert
            for alert in platform.platform_alerts.open()
            if (alert.kind, alert.subject) in {(MISCALIBRATED, name), *drifting}
        ],
        "links": _links(request, platform, name),
    }


def _asked_at_once(platform: Platform, name: str) -> Platform:
    """Return the platform with a registry that answers meanwhile what the page will ask."""
    decided = [d for d in platform.decisions.for_definition(name) if d.run_id is not None]
    runs: list[tuple[str, ...]] = [("open_runs", name), ("runs_page", name)]
    if decided:
        last = str(decided[-1].run_id)
        runs += [("files", last, folder) for folder in ("decision", EVIDENCE)]
        runs += [("tags", last), ("searches", last)]
    models = ask_at_once(platform.models, ("versions", name), ("aliases", name))
    return replace(platform, runs=ask_at_once(platform.runs, *runs), models=models)


def _list_steps(platform: Platform, report: ModelReport, now: datetime) -> list[TrainingStep]:
    """Return the steps of the newest training; none without one, or without the registry."""
    training = report.line.training
    speed = platform.line_speed()
    real_now = datetime.now(UTC)

    def as_line_time(at: datetime) -> datetime:
        return at if speed is None else now - (real_now - at) * speed

    if training is None:
        return []
    try:
        return training_steps(platform, training, report.decisions, as_line_time)
    except ModelUnavailable:
        return []


def explain_proposal(waiting: Proposal | None) -> Translatable | None:
    """Return why a version waits for a decision; None without one."""
    return None if waiting is None else explain_waiting(waiting)


def propose_alert(report: ModelReport) -> str:
    """Return the alert, as YAML, that the last training proposes; empty without one."""
    result = report.waiting or report.line.refused
    return "" if result is None else proposed_alert(result.evidence)


def describe_curve(evidence: ModelEvidence | None, definition: Definition) -> dict[str, Any] | None:
    """Return the operating points of a version, with their places in a plot; None if its training
    stored none."""
    if evidence is None or not isinstance(definition, TrainedDefinition):
        return None
    points = operating_points(evidence.curve, definition.operating_point.max_time_in_alarm)
    if not points:
        return None
    return {
        "points": points,
        "assets": points[0].assets,
    }


def _model_charts(
    evidence: ModelEvidence | None, definition: Definition, language: Language
) -> dict[str, Markup]:
    """Return the chart of the operating points and that of the calibration, empty without them."""
    drawn = {"curve_figure": Markup(), "calibration": Markup()}
    curve = describe_curve(evidence, definition)
    if curve is not None:
        label = language.say(
            "Share of problems found by false alarms a week, for {number} thresholds; the table "
            "below has the figures.",
            number=str(len(curve["points"])),
        )
        plot = curve_plot(curve["points"], language)
        drawn["curve_figure"] = figure([plot], label, language)
    if evidence is not None and len(evidence.reliability) > 1:
        risk_title = language.say("Risk that was said")
        came = language.say("Problem came")
        label = language.say("Calibration: risk that was said, and share of problems that came")
        plot = calibration_plot(evidence.reliability, risk_title, came, language)
        drawn["calibration"] = figure([plot], label, language)
    return drawn


def comparison_rows(proposal: Proposal | None, language: Language) -> list[list[str]]:
    """Return rows of cells that compare the version in service, if there is one, with the waiting
    version; the first row has the headings."""
    if proposal is None:
        return []
    evidence = proposal.evidence
    if "compared" in evidence:
        heading, _, *rows = side_by_side(proposal).splitlines()
        return [[cell.strip() for cell in row.strip("|").split("|")] for row in (heading, *rows)]
    waits = proposal.refreshed_version or proposal.challenger_version
    models = {"challenger": language.say("version {version}, which waits", version=str(waits))}
    measured = {"challenger": proposal.test}
    if "rows" in evidence:
        measured = {
            model: merge_metrics(evidence["rows"][model], evidence["at_threshold"][model])
            for model in ("champion", "challenger")
        }
        served = str(proposal.champion_version)
        present = {"champion": language.say("version {version}, in service", version=served)}
        models = present | models
    return [
        ["", *models.values()],
        *(
            [
                language.translate(title),
                *(_metric(measured[model], key, language) for model in models),
            ]
            for key, title in _COMPARED.items()
            if any(measured[model].get(key) is not None for model in models)
        ),
    ]


def _metric(metrics: Mapping[str, Any], key: str, language: Language) -> str:
    def show(value: float) -> str:
        if key == "median_lead_time":
            return seconds(value, language)
        is_share = key in ("event_recall", "episode_precision", "time_in_alarm")
        return language.share(value) if is_share else number(value, 3, language)

    value = metrics.get(key)
    bounds = metrics.get("intervals", {}).get(key)
    if value is None or not bounds:
        return NONE if value is None else show(value)
    low, high = map(show, bounds)
    return f"{show(value)} ({language.say('{low} to {high}', low=low, high=high)})"


def _links(
    request: Request,
    platform: Platform,
    name: str,
) -> dict[str, str]:
    """Return addresses of the runs in MLflow and of the DAG in Airflow."""
    try:
        runs = platform.runs.runs_page(name)
    except ModelUnavailable:
        runs = None
    airflow = request.app.state.airflow
    addresses = {"MLflow": runs, "Airflow": airflow and f"{airflow}/dags/train__{name}"}
    return {title: address for title, address in addresses.items() if address}


def _training_values(training: Any | None) -> dict[str, Any] | None:
    if training is None:
        return None
    lines = [vars(candidate) for candidate in ranked(training["leaderboard"])]
    titles = candidate_titles(training["leaderboard"])
    test = training["test"]
    return {
        "run": training["run_id"],
        "titles": list(titles.values()),
        "candidates": [
            [
                line["family"].replace("_", " "),
                *(format_metric(line, key) for key in titles),
                line["trials"],
            ]
            for line in lines
        ],
        "lines": [
            *cut_short_lines(training["leaderboard"]),
            *unseen_lines(test),
            *training["chance"],
            *(metric_lines(test) if "ap" in test else ()),
        ],
    }


MOST_ASSETS = 4
_MOST_SAMPLES = 60  # in a chart
_GRADED = timedelta(days=28)
_MOST_VALUES = 5_000  # of one asset that are read for a page
_LISTED = 8  # samples in the table


def value_shapes(
    platform: Platform, definition: Definition, assets: Sequence[Asset], request: Request
) -> list[dict[str, Any]]:
    """Return, for at most four assets, the newest value, its chart, and the grades of at most 28
    days; nothing for a definition that predicts no value."""
    if not isinstance(definition, TrainedDefinition) or definition.must_know is None:
        return []
    now = platform.clock.now()
    start = now - min(_GRADED, _MOST_VALUES * definition.stride)
    shapes = []
    for asset in matching_assets(definition, assets)[:MOST_ASSETS]:
        served = load_served_values(
            platform.scores, platform.readings, definition, asset, start, now
        )
        if served is not None:
            title = asset.variables[served.variable].title or served.variable.replace("_", " ")
            chart, begin = _chart(served, asset.name, title, definition, now, request)
            trend = trend_of_variables(asset, [served.variable], begin, now)
            shown = {"asset": asset.name, "variable": title, "chart": chart, "trend": trend}
            shapes.append({**shown, **_describe(served, language_of(request))})
    return shapes


def _describe(served: ServedValues, language: Language) -> dict[str, Any]:
    predicted = served.predicted
    graded = served.graded

    def show(value: float) -> str:
        return language.show(Styled(value, ".4g"))

    rows = [
        {
            "at": from_millis(int(graded.at[i])),
            "predicted_at": from_millis(int(graded.predicted_at[i])),
            "value": show(graded.value[i]),
            "median": show(graded.median[i]),
            "low": show(graded.low[i]),
            "high": show(graded.high[i]),
            "error": show(abs(graded.value[i] - graded.median[i])),
            "inside": bool(graded.is_inside[i]),
        }
        for i in range(len(graded.at) - 1, max(len(graded.at) - 1 - _LISTED, -1), -1)
    ]
    return {
        "unit": served.unit,
        "median": show(predicted.median[-1]),
        "low": show(predicted.low[-1]),
        "high": show(predicted.high[-1]),
        "predicted_at": from_millis(int(predicted.at[-1])),
        "until": from_millis(int(predicted.at[-1] + predicted.lead[-1])),
        "samples": len(graded.at),
        "since": from_millis(int(graded.at[0])) if len(graded.at) else None,
        "error": show(graded.error),
        "last_error": None if np.isnan(graded.last_error) else show(graded.last_error),
        "is_worse": graded.is_worse_than_last,
        "is_constant": graded.is_constant,
        "is_no_better_than_mean": graded.is_no_better_than_mean,
        "coverage": language.share(graded.coverage),
        "width": show(graded.width),
        "explained": language.share(max(graded.explained, 0.0))
        if len(graded.at) >= LEAST_SAMPLES and not np.isnan(graded.explained)
        else None,
        "rows": rows,
    }


def _chart(
    served: ServedValues,
    asset: str,
    title: str,
    definition: TrainedDefinition,
    now: datetime,
    request: Request,
) -> tuple[Markup, datetime]:
    """Return the chart of the last samples, with the band and the median that were predicted for
    their time, and its start."""
    is_known = served.samples.known_at <= to_millis(now)
    at = served.samples.at[is_known][-_MOST_SAMPLES:]
    drawn = served.drawn_at
    begin = max(int(at[0]), int(drawn[0])) if len(at) else int(drawn[0])
    inside = drawn >= begin
    is_shown = at >= begin
    predicted = served.predicted
    fan = Fan(
        tuple(drawn[inside].tolist()),
        tuple(predicted.low[inside].tolist()),
        tuple(predicted.median[inside].tolist()),
        tuple(predicted.high[inside].tolist()),
    )
    values = served.samples.value[is_known][-_MOST_SAMPLES:][is_shown]
    levels = problem_levels(definition.problem)
    panel = Panel(title, served.unit, at[is_shown], values, levels, hold=timedelta(0), fan=fan)
    start = from_millis(begin)
    end = from_millis(max(int(drawn[-1]), to_millis(now)))
    language = language_of(request)
    zone = zone_of(request)
    ticks = time_ticks(start, end, zone, language)
    plot = panel_plot(panel, begin, to_millis(end), ticks, language)
    label = language.say(
        "{asset}: predicted {variable} with its 90 % interval, beside the samples",
        asset=asset,
        variable=title,
    )
    return figure([plot], label, language, zone), start
