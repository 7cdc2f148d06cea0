// Lanes of a trend drawn by uPlot: one for each variable, with one time and one cursor.

const HEIGHT = 170;
const AXIS = 30;
const MARGIN = 58;
const BAND_COLOURS = {
  alarm: "shade", event: "expect", "marked-bad": "marked-bad", "marked-out": "marked-out",
};
const FEW = 60; // readings of which each has a dot, and holds until the next one

/**
 * @typedef {{start: number, end: number}} View the shown time, s since 1970
 * @typedef {{variable: string, unit: ?string, source: string, t: number[], low: (?number)[],
 *   high: (?number)[], mean: (?number)[], gaps: number[][], bad: number[][]}} Series
 * @typedef {{zone: string, language: string, bands: [string, string, number, number][],
 *   titles: Object<string, [string, string]>, find: string, levels: number[],
 *   words: Object<string, string>}} Shown
 */

/** Draws series into a container; `zoom` is called with the time that a person chose. */
export class Lanes {
  /** @param {HTMLElement} box @param {(start: number, end: number) => void} zoom @param {() => void} back */
  constructor(box, zoom, back) {
    this.box = box;
    this.zoom = zoom;
    this.back = back;
    this.plots = [];
    this.mark = null;
    this.fingers = new Map();
    new ResizeObserver(() => this.resize()).observe(box);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.redraw());
    box.addEventListener("dblclick", () => { this.setMark(null); this.back(); });
    for (const type of ["pointerdown", "pointermove", "pointerup", "pointercancel"]) {
      box.addEventListener(type, (event) => this.touched(/** @type {PointerEvent} */ (event)));
    }
  }

  /** @param {Series[]} series @param {View} view @param {Shown} shown */
  draw(series, view, shown) {
    Object.assign(this, { series, view: { ...view }, shown });
    this.redraw();
  }

  redraw() {
    if (!this.series) return;
    for (const plot of this.plots) plot.destroy();
    const style = getComputedStyle(this.box);
    const colour = (name) => style.getPropertyValue(name).trim();
    this.colours = {};
    for (const name of ["line", "ink", "muted", "rule", "shade", "expect", "missing", "critical", "marked-bad", "marked-out"]) {
      this.colours[name] = colour(`--${name}`);
    }
    this.plots = [];
    const figures = this.series.map((one, n) => this.lane(one, n === this.series.length - 1));
    this.box.classList.add("drawn");
    this.box.replaceChildren(...figures.map((lane) => lane.figure));
    for (const { figure, make } of figures) this.plots.push(make(figure));
    this.resize();
  }

  /** @param {Series} one @param {boolean} isLast */
  lane(one, isLast) {
    const [title, unit] = this.shown.titles[one.variable];
    const figure = document.createElement("figure");
    figure.className = "chart lane-of";
    figure.dataset.variable = one.variable;
    const caption = document.createElement("figcaption");
    const small = document.createElement("small");
    const output = document.createElement("output");
    small.textContent = unit;
    output.setAttribute("aria-live", "off");
    caption.append(title, " ", small, output);
    const canvas = document.createElement("div");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", title);
    figure.append(caption, canvas);
    const isRaw = one.low.every((value, n) => value === one.high[n]);
    const levels = one.variable === this.shown.find ? this.shown.levels : [];
    const isFew = isRaw && one.t.length <= FEW;
    const data = isRaw ? [one.t, one.mean] : [one.t, one.low, one.high, one.mean];
    const show = (plot) => this.describe(plot, one, data, output);
    const make = () => new uPlot({
      width: this.width(),
      height: HEIGHT + (isLast ? AXIS : 0),
      padding: [8, 20, 0, 0],
      legend: { show: false },
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), this.shown.zone),
      cursor: {
        sync: { key: "trend", setSeries: false },
        drag: { x: true, y: false, setScale: false },
        points: { size: 7 },
        bind: { dblclick: () => null },
      },
      scales: {
        x: { time: true, auto: false, range: () => [this.view.start, this.view.end] },
        y: { range: rangeOf(data, levels) },
      },
      axes: [
        {
          stroke: this.colours.muted, grid: { stroke: this.colours.rule, width: 1 },
          ticks: { show: isLast, stroke: this.colours.rule }, size: isLast ? AXIS : 0, space: 76,
          font: "12px system-ui, sans-serif",
          values: (_, splits) => splits.map((at) => (isLast ? this.tick(at) : "")),
        },
        {
          stroke: this.colours.muted, grid: { stroke: this.colours.rule, width: 1 },
          ticks: { show: false }, size: MARGIN, space: 32, font: "12px system-ui, sans-serif",
          values: (_, splits) => splits.map((value) => value.toLocaleString(this.shown.language)),
        },
      ],
      series: isRaw
        ? [{}, this.line(isFew ? { paths: uPlot.paths.stepped({ align: 1 }), points: { show: true } } : {})]
        : [{}, this.line({ width: 0 }), this.line({ width: 0 }), this.line({})],
      bands: isRaw ? [] : [{ series: [2, 1], fill: withAlpha(this.colours.line, 0.25) }],
      hooks: {
        drawClear: [(plot) => this.drawBehind(plot, one)],
        draw: [(plot) => this.drawBefore(plot, one, levels)],
        setCursor: [show],
        setSelect: [(plot) => this.selected(plot)],
        ready: [(plot) => plot.over.addEventListener("click", (event) => this.clicked(plot, event))],
      },
    }, data, canvas);
    return { figure, make };
  }

  line(more) {
    return { stroke: this.colours.line, width: 1.4, spanGaps: false, points: { show: false }, ...more };
  }

  width() {
    return Math.max(200, Math.floor(this.box.clientWidth));
  }

  resize() {
    for (const plot of this.plots) {
      if (plot.width !== this.width()) plot.setSize({ width: this.width(), height: plot.height });
    }
  }

  /** Draw gaps, alarms and events below the line. */
  drawBehind(plot, one) {
    const { ctx } = plot;
    const { left, top, width, height } = plot.bbox;
    const fill = (colour, start, end, from = 0, share = 1) => {
      const first = Math.max(left, plot.valToPos(Math.max(start, this.view.start), "x", true));
      const last = Math.min(left + width, plot.valToPos(Math.min(end, this.view.end), "x", true));
      if (end < this.view.start || start > this.view.end) return;
      ctx.fillStyle = colour;
      ctx.fillRect(first, top + from * height, Math.max(2, last - first), share * height);
    };
    ctx.save();
    for (const [start, end] of one.gaps) fill(this.colours.missing, start, end);
    for (const [kind, , start, end] of this.shown.bands) {
      fill(this.colours[BAND_COLOURS[kind]], start, end);
    }
    for (const [start, end] of one.bad) fill(this.colours.critical, start, end, 0.97, 0.03);
    ctx.restore();
  }

  /** Draw limits and the mark above the line. */
  drawBefore(plot, one, levels) {
    const { ctx } = plot;
    const { left, top, width, height } = plot.bbox;
    const stroke = (colour, dash, x1, y1, x2, y2) => {
      ctx.strokeStyle = colour;
      ctx.lineWidth = 1.5 * devicePixelRatio;
      ctx.setLineDash(dash);
      ctx.beginPath();
      ctx.moveTo(x1, y1);
      ctx.lineTo(x2, y2);
      ctx.stroke();
    };
    ctx.save();
    for (const level of levels) {
      const y = plot.valToPos(level, "y", true);
      stroke(this.colours.critical, [7, 4], left, y, left + width, y);
    }
    if (this.mark !== null && this.mark >= this.view.start && this.mark <= this.view.end) {
      const x = plot.valToPos(this.mark, "x", true);
      stroke(this.colours.ink, [], x, top, x, top + height);
    }
    ctx.restore();
  }

  /** Write the values under the cursor, and their difference to the mark, beside the title. */
  describe(plot, one, data, output) {
    const at = plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") : null;
    if (at === null) {
      output.textContent = "";
      return;
    }
    const unit = this.shown.titles[one.variable][1];
    const written = (value) => `${value.toLocaleString(this.shown.language, { maximumSignificantDigits: 6 })}${unit ? ` ${unit}` : ""}`;
    const row = rowAt(data[0], at);
    const value = row < 0 ? null : data[data.length - 1][row];
    const parts = [this.time(at)];
    if (value == null) parts.push(this.shown.words.none);
    else if (data.length === 2) parts.push(written(value));
    else parts.push(`${written(value)} (${written(data[1][row])} – ${written(data[2][row])})`);
    if (this.mark !== null && value != null) {
      const from = rowAt(data[0], this.mark);
      const before = from < 0 ? null : data[data.length - 1][from];
      if (before != null) {
        const sign = value >= before ? "+" : "−";
        parts.push(`${sign}${written(Math.abs(value - before))} ${this.shown.words.since}`);
      }
    }
    output.textContent = parts.join("  ");
  }

  selected(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    const first = plot.posToVal(left, "x");
    const last = plot.posToVal(left + width, "x");
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.zoom(first, last);
  }

  clicked(plot, event) {
    const at = plot.posToVal(event.offsetX, "x");
    if (Math.abs(event.clientX - (this.pressed ?? event.clientX)) < 4) this.setMark(at);
  }

  setMark(at) {
    this.mark = at;
    for (const plot of this.plots) plot.redraw(false, false);
  }

  /** Move the time with one finger, stretch it with two. */
  touched(event) {
    if (event.pointerType !== "touch") {
      if (event.type === "pointerdown") this.pressed = event.clientX;
      return;
    }
    const plot = this.plots[0];
    if (!plot) return;
    const isOver = event.type === "pointerup" || event.type === "pointercancel";
    if (event.type === "pointermove" && !this.fingers.has(event.pointerId)) return;
    if (isOver) {
      this.fingers.delete(event.pointerId);
      if (this.fingers.size === 0 && this.moved) {
        this.moved = false;
        if (event.type === "pointerup") this.zoom(this.view.start, this.view.end);
        else this.place(this.begun);
      }
    } else {
      this.fingers.set(event.pointerId, event.clientX);
    }
    const left = plot.over.getBoundingClientRect().left;
    const places = [...this.fingers.values()].map((x) => x - left).sort((a, b) => a - b);
    if (event.type !== "pointermove") {
      this.begun = this.moved ? this.begun : { ...this.view };
      this.held = { at: places.map((x) => plot.posToVal(x, "x")), x: places };
      return;
    }
    const width = plot.over.clientWidth;
    let perPixel = (this.view.end - this.view.start) / width;
    if (places.length === 1) {
      if (!this.moved && Math.abs(places[0] - this.held.x[0]) < 12) return;
    } else {
      perPixel = (this.held.at[1] - this.held.at[0]) / Math.max(8, places[1] - places[0]);
    }
    const start = this.held.at[0] - places[0] * perPixel;
    this.moved = true;
    this.place({ start, end: start + width * perPixel });
  }

  place(view) {
    this.view = { ...view };
    for (const plot of this.plots) plot.setScale("x", { min: view.start, max: view.end });
  }

  time(at, parts = { hour: "2-digit", minute: "2-digit", second: "2-digit" }) {
    const tag = this.shown.language === "en" ? "en-GB" : this.shown.language;
    return new Intl.DateTimeFormat(tag, { timeZone: this.shown.zone, hourCycle: "h23", ...parts })
      .format(new Date(at * 1000));
  }

  tick(at) {
    const seconds = this.view.end - this.view.start;
    const clock = this.time(at);
    if (clock === "00:00:00") return this.time(at, { day: "numeric", month: "short" });
    return seconds < 600 ? clock : clock.slice(0, 5);
  }
}

/** Return the range of an axis: all values and limits, with a margin. */
function rangeOf(data, levels) {
  let low = Infinity;
  let high = -Infinity;
  for (const column of [...data.slice(1), levels]) {
    for (const value of column) {
      if (value !== null && value < low) low = value;
      if (value !== null && value > high) high = value;
    }
  }
  if (low > high) [low, high] = [0, 1];
  const margin = 0.06 * (high - low || Math.abs(high) || 1);
  return [low - margin, high + margin];
}

/** Return the last row at or before an instant; -1 before the first. */
function rowAt(times, at) {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function withAlpha(colour, alpha) {
  const [red, green, blue] = colour.match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
  return `rgba(${red}, ${green}, ${blue}, ${alpha})`;
}
