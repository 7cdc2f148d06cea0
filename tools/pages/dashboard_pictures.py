"""Draw the dashboards of `config/grafana` from their own queries, where no Grafana runs:
`python -m tools.pages.dashboard_pictures DATABASE_URL PROMETHEUS_URL FOLDER`."""

import json
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import matplotlib as mpl
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alerting.adapters.sources.sql import engine_of

FOLDER = Path(__file__).parents[2] / "config" / "grafana"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WIDTH = 24
"""Columns of a dashboard."""
_CELL = (0.55, 0.34)  # inches
_MOST_ROWS = 7
Row = Mapping[str, Any]
Series = Mapping[str, Sequence[tuple[datetime, float]]]
Ask = Callable[[str], Sequence[Row]]


def dashboards() -> dict[str, dict[str, Any]]:
    """Return the dashboards by the names of their files."""
    files = sorted((FOLDER / "dashboards").glob("*.json"))
    return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}


def expand(
    query: str,
    variables: Mapping[str, Sequence[str]],
    span: tuple[datetime, datetime],
    interval: str = "1m",
) -> str:
    """Return a query as the data source of PostgreSQL sends it: variables in the form `sqlstring`,
    then macros. Raises ValueError for what it does not know."""
    first, last = (f"'{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}'" for at in span)

    def quote(match: re.Match[str]) -> str:
        return ",".join("'" + v.replace("'", "''") + "'" for v in variables[match[1]])

    def group(match: re.Match[str]) -> str:
        number, unit = re.fullmatch(r"'?(\d+)([smhd])'?", match[2]).groups()  # type: ignore[union-attr]
        seconds = int(number) * SECONDS[unit]
        return f'floor(extract(epoch from {match[1]})/{seconds})*{seconds} AS "time"'

    text = re.sub(r"\$\{(\w+):sqlstring\}", quote, query).replace("$__interval", interval)
    text = re.sub(r"\$__timeGroupAlias\((\w+),\s*([^)]+)\)", group, text)
    text = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN {first} AND {last}", text)
    text = text.replace("$__timeFrom()", first).replace("$__timeTo()", last)
    if "$" in text:
        raise ValueError(f"not known: {text[text.index('$') :]}")
    return text


def span_of(dashboard: Mapping[str, Any], now: datetime) -> tuple[datetime, datetime]:
    """Return the times of a dashboard, as now-6h."""
    ends = []
    for text in (dashboard["time"]["from"], dashboard["time"]["to"]):
        shift = re.fullmatch(r"now(?:([+-]\d+)([smhd]))?", text)
        seconds = int(shift[1]) * SECONDS[shift[2]] if shift and shift[1] else 0
        ends.append(now + timedelta(seconds=seconds))
    return ends[0], ends[1]


def series_of(rows: Sequence[Row]) -> Series:
    """Return rows {time, metric, numbers} as Grafana does: a series for each metric and number."""
    found: dict[str, list[tuple[datetime, float]]] = defaultdict(list)
    for row in rows:
        metric = row.get("metric")
        for name, value in row.items():
            if name not in ("time", "metric") and value is not None:
                at = datetime.fromtimestamp(float(row["time"]), UTC)
                found[name if metric is None else f"{name} {metric}"].append((at, float(value)))
    return found


def draw_dashboard(
    dashboard: Mapping[str, Any],
    ask_tables: Ask,
    ask_metrics: Callable[[Mapping[str, Any], tuple[datetime, datetime]], Series],
    now: datetime,
) -> Figure:
    """Return the picture of a dashboard; of a variable with several choices two panels."""
    span = span_of(dashboard, now)
    chosen: dict[str, Sequence[str]] = {}
    for one in dashboard["templating"]["list"]:
        rows = ask_tables(expand(one["query"], chosen, span))
        values = [str(row[one["name"]]) for row in rows]
        chosen[one["name"]] = values if one["multi"] else values[:1]
    panels = dashboard["panels"]
    height = 1.2 + max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels)
    figure = Figure(figsize=(WIDTH * _CELL[0], height * _CELL[1]), facecolor="#f4f5f5")
    figure.text(0.01, 1 - 0.12 / height, dashboard["title"], fontsize=13, va="top")
    marked = [
        row
        for one in dashboard["annotations"]["list"]
        for row in ask_tables(expand(one["target"]["rawSql"], chosen, span))
    ]
    for panel in panels:
        repeated = chosen[panel["repeat"]][:2] if "repeat" in panel else [""]
        for column, choice in enumerate(repeated):
            selected = {**chosen, panel.get("repeat", ""): [choice]}
            place = panel["gridPos"]
            left = place["x"] + column * place["w"] + 0.9
            low = height - 1.2 - place["y"] - place["h"] + 0.9
            box = (place["w"] - 1.1, place["h"] - 1.8)
            axes = figure.add_axes((left / WIDTH, low / height, box[0] / WIDTH, box[1] / height))
            title = panel["title"].replace("$variable", choice)
            axes.set_title(title, loc="left", fontsize=8, fontweight="bold")
            is_table = "rawSql" in panel["targets"][0]
            rows = (
                ask_tables(expand(panel["targets"][0]["rawSql"], selected, span))
                if is_table
                else []
            )
            if panel["type"] == "timeseries":
                series = series_of(rows) if is_table else ask_metrics(panel, span)
                _draw_series(axes, series, panel, span)
                for row in marked:
                    axes.axvspan(row["time"], min(row["timeend"], now), color="#e02f44", alpha=0.12)
            elif panel["type"] == "stat":
                series = {} if is_table else ask_metrics(panel, span)
                latest = [points[-1][1] for points in series.values()]
                number = next(iter(rows[0].values())) if is_table else sum(latest)
                _draw_number(axes, number, panel)
            elif panel["type"] == "barchart":
                names, counts = zip(*(row.values() for row in reversed(rows)), strict=True)
                axes.barh([str(n) for n in names], counts, color="#3274d9")
                axes.tick_params(labelsize=6)
            else:
                _draw_table(axes, rows)
    return figure


def _draw_series(
    axes: Axes, series: Series, panel: Mapping[str, Any], span: tuple[datetime, datetime]
) -> None:
    is_bars = panel["fieldConfig"]["defaults"].get("custom", {}).get("drawStyle") == "bars"
    heights: dict[datetime, float] = defaultdict(float)
    for name, points in sorted(series.items()):
        times, values = zip(*points, strict=True)
        if is_bars:
            axes.bar(times, values, 0.7, [heights[at] for at in times], label=name, alpha=0.8)
            for at, value in points:
                heights[at] += value
        elif "limit" in name:
            axes.plot(times, values, "--", color="#e02f44", linewidth=0.9, label=name)
        else:
            mark = "o" if len(points) < 20 else ""
            axes.plot(times, values, linewidth=0.9, marker=mark, markersize=2, label=name)
    axes.set_xlim(*span)  # type: ignore[arg-type]
    short = span[1] - span[0] < timedelta(days=2)
    axes.xaxis.set_major_formatter(dates.DateFormatter("%H:%M" if short else "%d %b", tz=UTC))
    axes.tick_params(labelsize=6)
    axes.grid(alpha=0.3)
    if series:
        axes.legend(fontsize=5, ncols=5, loc="upper left", frameon=False)


def _draw_number(axes: Axes, value: Any, panel: Mapping[str, Any]) -> None:
    number = float(value or 0)
    defaults = panel["fieldConfig"]["defaults"]
    steps = defaults.get("thresholds", {}).get("steps", [{"color": "#3274d9", "value": None}])
    colour = [one["color"] for one in steps if one["value"] is None or number >= one["value"]][-1]
    text = f"{number / 60:.1f} min" if defaults.get("unit") == "s" else f"{number:g}"
    axes.set_facecolor({"green": "#299c46", "red": "#e02f44"}.get(colour, colour))
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=15, color="white")
    axes.set(xticks=[], yticks=[])


def _draw_table(axes: Axes, rows: Sequence[Row]) -> None:
    axes.axis("off")
    cells = [
        [f"{v:%d %b %H:%M}" if isinstance(v, datetime) else _short(v) for v in row.values()]
        for row in rows[:_MOST_ROWS]
    ]
    if not cells:
        return
    made = axes.table(cells, colLabels=list(rows[0]), loc="upper left", cellLoc="left")
    made.auto_set_font_size(False)
    made.set_fontsize(6)
    made.auto_set_column_width(list(range(len(rows[0]))))


def _short(value: Any) -> str:
    text = "" if value is None else f"{value:.0f}" if isinstance(value, float) else str(value)
    return text if len(text) < 45 else f"{text[:44]}…"


def main(database: str, prometheus: str, folder: Path) -> None:
    """Draw each dashboard into a picture in a folder."""
    mpl.rcParams["axes.facecolor"] = "white"
    engine = engine_of("pictures", database)

    def ask_tables(query: str) -> Sequence[Row]:
        with engine.connect() as connection:
            found = connection.exec_driver_sql(query.replace("%", "%%")).mappings()
            return [dict(row) for row in found]

    def ask_metrics(panel: Mapping[str, Any], span: tuple[datetime, datetime]) -> Series:
        found: dict[str, list[tuple[datetime, float]]] = {}
        seconds = (span[1] - span[0]).total_seconds()
        for target in panel["targets"] if prometheus else ():
            query = target["expr"].replace("$__rate_interval", "2m")
            times = {
                "start": span[0].timestamp(),
                "end": span[1].timestamp(),
                "step": seconds / 360,
            }
            answer = httpx.get(f"{prometheus}/api/v1/query_range", params={"query": query, **times})
            for one in answer.json()["data"]["result"]:
                labels = one["metric"]
                name = target["legendFormat"]
                for label in re.findall(r"\{\{(\w+)\}\}", name):
                    name = name.replace(f"{{{{{label}}}}}", labels.get(label, ""))
                points = [(datetime.fromtimestamp(at, UTC), float(v)) for at, v in one["values"]]
                found[name] = points
        return found

    for name, dashboard in dashboards().items():
        figure = draw_dashboard(dashboard, ask_tables, ask_metrics, datetime.now(UTC))
        figure.savefig(folder / f"grafana-{name}.webp", dpi=80, pil_kwargs={"quality": 60})


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
