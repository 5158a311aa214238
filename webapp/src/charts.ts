/** Small charts in SVG; each has its numbers in a table for those who do not see it. */
import { h, svg } from "./dom";
import { number, t } from "./i18n";

/** Narrow screens get a narrow drawing, so that its letters stay readable. */
const NARROW = window.matchMedia("(max-width: 760px)").matches;
const W = NARROW ? 350 : 640;
const H = 190;
const PAD = { left: 48, right: 10, top: 10, bottom: 26 };

export interface Bar {
  label: string;
  value: number;
}

/** 1, 2 or 5 times a power of ten at or above `value`. */
export function ceiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}

function frame(title: string, ...inside: SVGElement[]): SVGSVGElement {
  return svg("svg", { viewBox: `0 0 ${W} ${H}`, class: "chart", role: "img", "aria-label": title }, ...inside);
}

function axis(top: number): SVGElement[] {
  const y = (share: number) => PAD.top + (H - PAD.top - PAD.bottom) * (1 - share);
  return [0, 0.5, 1].flatMap((share) => [
    svg("line", { x1: PAD.left, x2: W - PAD.right, y1: y(share), y2: y(share), class: "grid" }),
    svg("text", { x: PAD.left - 6, y: y(share) + 4, "text-anchor": "end" }, number(top * share, 1)),
  ]);
}

function labels(bars: { label: string }[], x: (i: number) => number): SVGElement[] {
  const every = Math.max(1, Math.ceil(bars.length / (NARROW ? 3 : 7)));
  return bars.flatMap((bar, i) =>
    i % every === 0 ? [svg("text", { x: x(i), y: H - 8, "text-anchor": "middle" }, bar.label)] : []);
}

export function barChart(title: string, unit: string, bars: Bar[]): HTMLElement {
  return stackedChart(title, unit, [], bars.map((bar) => ({ label: bar.label, values: [bar.value] })));
}

/** Bars of several parts, the first at the bottom; `names` are the parts'. */
export function stackedChart(
  title: string, unit: string, names: string[], bars: { label: string; values: number[] }[],
): HTMLElement {
  if (bars.length === 0) return h("p", { class: "muted" }, t("dashboard.nothing"));
  const sum = (values: number[]) => values.reduce((a, b) => a + b, 0);
  const top = ceiling(Math.max(...bars.map((bar) => sum(bar.values))));
  const step = (W - PAD.left - PAD.right) / bars.length;
  const height = H - PAD.top - PAD.bottom;
  const x = (i: number) => PAD.left + step * (i + 0.5);
  const width = Math.max(1, Math.min(40, step * 0.8));
  const rects = bars.flatMap((bar, i) => bar.values.map((value, part) => {
    const tall = (height * value) / top;
    const foot = (height * sum(bar.values.slice(0, part))) / top;
    const said = [bar.label, names[part]].filter(Boolean).join(", ");
    return svg("rect", {
      x: x(i) - width / 2, y: H - PAD.bottom - foot - tall, width, height: tall, class: `bar bar-${part}`,
    }, svg("title", {}, `${said}: ${number(value)} ${unit}`));
  }));
  const heads = names.length > 0 ? names : [unit];
  return h("figure", {},
    h("figcaption", {}, names.length > 0 ? legend(names.map((name, part) => [`bar-${part}`, name])) : unit),
    frame(title, ...axis(top), ...rects, ...labels(bars, x)),
    h("details", {}, h("summary", {}, t("dashboard.as_table")),
      table(["", ...heads], bars.map((bar) => [bar.label, ...bar.values.map((value) => number(value))]))));
}

/** Colour swatches (a class each) with their words. */
export function legend(entries: [string, string][]): HTMLElement {
  return h("span", { class: "legend" }, ...entries.flatMap(([kind, text]) =>
    [h("span", { class: `swatch swatch-${kind}` }), h("span", {}, text)]));
}

/** One row an orbit, one tick an acquisition. */
export function cadenceChart(title: string, rows: { orbit: number; day: string }[]): HTMLElement {
  if (rows.length === 0) return h("p", { class: "muted" }, t("dashboard.nothing"));
  const orbits = [...new Set(rows.map((row) => row.orbit))].sort((a, b) => a - b);
  const times = rows.map((row) => Date.parse(row.day));
  const [first, last] = [Math.min(...times), Math.max(...times)];
  const x = (time: number) => PAD.left + ((W - PAD.left - PAD.right) * (time - first)) / Math.max(1, last - first);
  const y = (orbit: number) => PAD.top + ((H - PAD.top - PAD.bottom) * (orbits.indexOf(orbit) + 0.5)) / orbits.length;
  const ticks = rows.map((row) => svg("line", {
    x1: x(Date.parse(row.day)), x2: x(Date.parse(row.day)), y1: y(row.orbit) - 6, y2: y(row.orbit) + 6, class: "tick",
  }, svg("title", {}, `${row.orbit}: ${row.day}`)));
  const names = orbits.map((orbit) => svg("text", { x: PAD.left - 6, y: y(orbit) + 4, "text-anchor": "end" }, String(orbit)));
  const ends = [first, last].map((time, i) => svg("text", { x: x(time), y: H - 8, "text-anchor": i ? "end" : "start" },
    new Date(time).toISOString().slice(0, 10)));
  return h("figure", {}, frame(title, ...ticks, ...names, ...ends));
}

export function table(heads: string[], rows: (string | number)[][]): HTMLElement {
  return h("div", { class: "scroll", tabindex: 0 }, h("table", {},
    h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell, i) =>
      i === 0 ? h("th", { scope: "row" }, cell) : h("td", {}, cell)))))));
}
