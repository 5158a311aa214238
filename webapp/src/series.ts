/** Time series of a clicked pixel: what was measured, what was expected, what was flagged. */
import uPlot from "uplot";
import { aborted, api, problem } from "./api";
import { fill, h, select } from "./dom";
import { day, number, t } from "./i18n";
import type { Series, SeriesPoint } from "./types";

const FLAG = "#c81e1e";
type Column = (number | null)[];

export interface Place {
  lon: number;
  lat: number;
  orbit?: number | null;
  /** Day of the evaluation; none is the newest image's. */
  on?: string | null;
  /** Day of a warning's first flag, marked in the chart. */
  flagged?: string | null;
}

/** The panel below a map: chart, orbit chooser, and the same numbers as a table. */
export class SeriesPanel {
  readonly node = h("section", { class: "series", "aria-label": t("series.title") });
  private plot: uPlot | null = null;
  private request: AbortController | null = null;
  private readonly observer = new ResizeObserver(() => this.resize());
  private readonly head = h("div", { class: "series-head" });
  private readonly chart = h("div", { class: "series-chart" });
  private readonly table = h("div", { class: "series-table" });

  constructor() {
    this.node.append(this.head, this.chart, this.table);
    this.observer.observe(this.chart);
    this.say(t("series.hint"));
  }

  private say(text: string): void {
    fill(this.head, h("p", { class: "muted" }, text));
    this.plot?.destroy();
    this.plot = null;
    fill(this.chart);
    fill(this.table);
  }

  /** Show a pixel as `place.on` saw it, or as it is seen today. */
  async show(place: Place, on: string | null = place.on ?? null): Promise<void> {
    this.request?.abort();
    this.request = new AbortController();
    const query = new URLSearchParams({ lon: place.lon.toFixed(6), lat: place.lat.toFixed(6) });
    if (place.orbit !== null && place.orbit !== undefined) query.set("orbit", String(place.orbit));
    if (on) query.set("on", on);
    this.node.setAttribute("aria-busy", "true");
    try {
      this.draw(await api.series(query, this.request.signal), place, on);
    } catch (error) {
      if (!aborted(error)) this.say(problem(error));
    } finally {
      this.node.removeAttribute("aria-busy");
    }
  }

  private draw(series: Series, place: Place, on: string | null): void {
    if (series.points.length === 0) {
      this.say(series.reason ?? t("series.empty"));
      return;
    }
    const flagged = series.points.filter((point) => point.flag).length;
    const last = series.points.at(-1) as SeriesPoint;
    const orbits = series.orbits.map((orbit) => [String(orbit), String(orbit)] as const);
    const chooser = select(orbits, String(series.orbit ?? ""), (value) => {
      void this.show({ ...place, orbit: Number(value) }, on);
    }, { "aria-label": t("series.orbit") });
    const then = place.on;
    const days = then && select([[then, day(then)], ["", t("series.today")]], on ?? "", (value) => {
      void this.show(place, value || null);
    }, { "aria-label": t("series.on") });
    fill(
      this.head,
      h("strong", {}, `${series.lat.toFixed(5)}, ${series.lon.toFixed(5)}`),
      h("label", { class: "inline" }, t("series.orbit"), " ", chooser),
      days && h("label", { class: "inline" }, t("series.on"), " ", days),
      h("span", { class: "muted" }, t("series.summary", {
        flags: flagged,
        images: series.points.length,
        reference: number(last.reference_db),
        threshold: number(last.threshold_db),
      })),
    );
    this.plot?.destroy();
    fill(this.chart);
    this.plot = new uPlot(options(this.size(), place.flagged ?? null), columns(series.points), this.chart);
    this.plot.root.setAttribute("role", "img");
    this.plot.root.setAttribute("aria-label", t("series.title"));
    fill(this.table, numbers(series.points));
  }

  private size(): { width: number; height: number } {
    return { width: Math.max(260, this.chart.clientWidth), height: 190 };
  }

  private resize(): void {
    this.plot?.setSize(this.size());
  }

  destroy(): void {
    this.request?.abort();
    this.observer.disconnect();
    this.plot?.destroy();
  }
}

function columns(points: SeriesPoint[]): uPlot.AlignedData {
  const column = (pick: (point: SeriesPoint) => number | null): Column => points.map(pick);
  return [
    points.map((point) => Date.parse(utc(point.time)) / 1000),
    column((point) => point.gamma0_db),
    column((point) => point.stabilised_db),
    // What the stabilisation took away, drawn about the reference level.
    column((point) => sum(point.season_db, point.reference_db)),
    column((point) => point.reference_db),
    column((point) => point.limit_db),
    column((point) => (point.flag ? (point.stabilised_db ?? point.gamma0_db) : null)),
  ] as uPlot.AlignedData;
}

function sum(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : a + b;
}

/** Times are UTC, written with or without the zone. */
function utc(text: string): string {
  return /Z|[+-]\d\d:?\d\d$/.test(text) || !text.includes("T") ? text : `${text}Z`;
}

/** A line over the chart at the day of the first flag. */
function mark(plot: uPlot, flagged: string): void {
  const { ctx, bbox } = plot;
  const x = Math.round(plot.valToPos(Date.parse(flagged) / 1000, "x", true));
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  const unit = window.devicePixelRatio;
  const left = x > bbox.left + bbox.width / 2;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = FLAG;
  ctx.setLineDash([2 * unit, 3 * unit]);
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.font = `${12 * unit}px sans-serif`;
  ctx.textBaseline = "top";
  ctx.textAlign = left ? "right" : "left";
  ctx.fillText(`${t("field.first_flag")} ${day(flagged)}`, x + (left ? -4 : 4) * unit, bbox.top);
  ctx.restore();
}

function options(size: { width: number; height: number }, flagged: string | null): uPlot.Options {
  const value = (_: uPlot, v: number | null) => (v === null ? "–" : `${number(v)} dB`);
  const dots = (size: number, colour: string) => ({ show: true, size, fill: colour });
  return {
    ...size,
    cursor: { drag: { x: true, y: false } },
    hooks: { draw: [(plot) => { if (flagged) mark(plot, flagged); }] },
    // Days are written as everywhere: ISO, UTC.
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC"),
    fmtDate: () => (date) => date.toISOString().slice(0, 10),
    axes: [
      { values: (_, splits) => splits.map((s) => new Date(s * 1000).toISOString().slice(0, 7)), space: 70 },
      { label: "dB", labelSize: 18, size: 52 },
    ],
    series: [
      { label: t("series.time"), value: (_, v) => (v ? new Date(v * 1000).toISOString().slice(0, 10) : "–") },
      { label: t("series.gamma0"), stroke: "#8a94a6", width: 1, points: dots(3, "#8a94a6"), value },
      { label: t("series.stabilised"), stroke: "#0f4c3a", width: 2, points: dots(4, "#0f4c3a"), value },
      { label: t("series.season"), stroke: "#6d8fd0", width: 1, dash: [4, 4], points: { show: false }, value },
      { label: t("series.reference"), stroke: "#1d4ed8", width: 1.5, points: { show: false }, value },
      { label: t("series.limit"), stroke: "#b45309", width: 1.5, dash: [8, 4], points: { show: false }, value },
      {
        label: t("series.flag"),
        stroke: FLAG,
        paths: () => null,
        points: { show: true, size: 9, fill: FLAG, stroke: "#ffffff" },
        value,
      },
    ],
  };
}

function numbers(points: SeriesPoint[]): HTMLElement {
  const heads = ["time", "gamma0", "stabilised", "season", "reference", "limit", "flag"] as const;
  return h(
    "details",
    {},
    h("summary", {}, t("series.table")),
    h("div", { class: "scroll", tabindex: 0 }, h(
      "table",
      {},
      h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, t(`series.${head}`))))),
      h("tbody", {}, ...points.map((point) => h(
        "tr",
        point.flag ? { class: "flagged" } : {},
        h("td", {}, day(point.time)),
        ...[point.gamma0_db, point.stabilised_db, point.season_db, point.reference_db, point.limit_db].map(
          (v) => h("td", {}, number(v)),
        ),
        h("td", {}, point.flag ? "●" : ""),
      ))),
    )),
  );
}
