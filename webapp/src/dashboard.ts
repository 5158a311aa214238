/** `/dashboard`: the tables and figures that the server offers. */
import { api, problem } from "./api";
import { barChart, cadenceChart, stackedChart, table } from "./charts";
import { DashMaps } from "./dashmaps";
import { field, fill, h } from "./dom";
import { number, percent, t, tc } from "./i18n";
import { remember } from "./router";
import { anyTable, cell } from "./tables";
import type { Agreement, Dashboard, Lead, Optical } from "./dashtypes";
import type { Context, View } from "./view";

/** Shown as tables, in this order. */
const SECTIONS = ["counts", "accuracy", "season", "monitored", "interpreters"];
/** Drawn as figures. */
const FIGURES = ["timeline_issued", "timeline_flagged", "delay", "cadence", "heat", "agreement", "field", "years"];

class DashboardView implements View {
  readonly title = t("nav.dashboard");
  readonly node: HTMLElement;
  private readonly body = h("div", { class: "cards" });
  private readonly maps: DashMaps;
  private gone = false;

  constructor(private readonly context: Context) {
    this.maps = new DashMaps(context.config);
    const asked = new URLSearchParams(location.search);
    const form = h("form", { class: "dashboard-bar", "aria-label": t("filter.title") },
      field(t("filter.since"), h("input", { type: "date", name: "since", value: asked.get("since") ?? "" })),
      field(t("filter.until"), h("input", { type: "date", name: "until", value: asked.get("until") ?? "" })));
    const query = () => {
      const kept = new URLSearchParams();
      for (const [key, value] of new FormData(form)) if (typeof value === "string" && value) kept.set(key, value);
      return kept;
    };
    form.addEventListener("change", () => {
      remember(query());
      void this.load(query());
    });
    this.node = h("div", { class: "page" }, h("h1", {}, t("nav.dashboard")), form, this.body);
    void this.load(query());
  }

  private async load(query: URLSearchParams): Promise<void> {
    this.body.setAttribute("aria-busy", "true");
    try {
      const found = await api.dashboard(query);
      if (!this.gone) this.draw(found, query);
    } catch (error) {
      fill(this.body, h("p", { class: "error", role: "alert" }, problem(error)));
    } finally {
      this.body.removeAttribute("aria-busy");
    }
  }

  private draw(found: Dashboard, query: URLSearchParams): void {
    this.maps.clear();
    const more = Object.keys(found).filter((key) => !SECTIONS.includes(key) && !FIGURES.includes(key));
    fill(this.body,
      card("timeline_issued", barChart(t("dashboard.timeline_issued"), "ha", days(found.timeline_issued))),
      card("timeline_flagged", barChart(t("dashboard.timeline_flagged"), "ha", days(found.timeline_flagged))),
      card("delay", ...delay(found)),
      card("cadence", cadenceChart(t("dashboard.cadence"), found.cadence ?? [])),
      found.heat && found.heat.cells.length > 0 && card("heat", ...this.maps.heat(found.heat)),
      this.context.config.optical && this.optical(query),
      found.agreement && card("agreement", agreement(found.agreement)),
      this.field(found.field),
      card("years", ...years(found.years ?? [])),
      ...[...SECTIONS, ...more].filter((key) => shown(found, key)).map((key) => card(key, anyTable(found[key]))));
  }

  /** Verdicts from the ground and the air, with a map where there are any. */
  private field(found: Dashboard["field"]): HTMLElement | false {
    if (!found) return false;
    if (found.n === 0) return card("field", anyTable([]));
    return card("field", ...(found.points.length > 0 ? this.maps.field(found.points) : []),
      agreement(found), anyTable(found.accuracy));
  }

  /** The comparison takes longer than the rest: its card fills when it is there. */
  private optical(query: URLSearchParams): HTMLElement {
    const inside = h("div", { "aria-busy": "true" }, h("p", { class: "muted" }, t("loading")));
    api.optical(query).then(
      (found) => fill(inside, ...optical(found)),
      (error: unknown) => fill(inside, h("p", { class: "error" }, problem(error))),
    ).finally(() => inside.removeAttribute("aria-busy"));
    return card("optical", inside);
  }

  destroy(): void {
    this.gone = true;
    this.maps.clear();
  }
}

function shown(found: Dashboard, key: string): boolean {
  return found[key] !== undefined && found[key] !== null;
}

function days(rows: Dashboard["timeline_issued"]): { label: string; value: number }[] {
  return (rows ?? []).map((row) => ({ label: row.day, value: row.area_ha }));
}

function delay(found: Dashboard): HTMLElement[] {
  const { delay: delays } = found;
  if (!delays) return [];
  return [
    barChart(t("dashboard.delay"), t("dashboard.warnings"), delays.density.map((one) => ({ label: String(one.days), value: one.n }))),
    anyTable({ median: delays.median, p90: delays.p90 }),
  ];
}

/** The paper's Table 2: what judged warnings were; classes that nobody saw are left out. */
function agreement(found: Agreement): HTMLElement {
  const rows = found.rows.filter((row) => row.n > 0);
  if (rows.length === 0) return anyTable([]);
  const heads = ["category", "intensity_class", "verdict", "n", "share_n", "area_ha", "share_area"];
  return table(heads.map((name) => tc("column", name)), rows.map((row) => [
    tc("category", row.category), row.intensity_class ? tc("intensity", row.intensity_class) : "–",
    row.verdict ? tc("verdict", row.verdict) : t("dashboard.sum"),
    number(row.n, 0), percent(row.share_n), number(row.area_ha), percent(row.share_area),
  ]));
}

function years(rows: NonNullable<Dashboard["years"]>): HTMLElement[] {
  if (rows.length === 0) return [anyTable([])];
  const heads = ["prodes_year", "n", "residue_n", "share_n", "area_ha", "residue_ha", "share_area"];
  return [
    h("p", { class: "muted" }, t("dashboard.years_hint")),
    table(heads.map((name) => tc("column", name)), rows.map((row) => [
      String(row.prodes_year), number(row.n, 0), number(row.residue_n, 0), percent(row.share_n),
      number(row.area_ha), number(row.residue_ha), percent(row.share_area),
    ])),
  ];
}

function optical(found: Optical): HTMLElement[] {
  const heads = ["", "warnings", "first", "same_day", "later", "only", "first_or_only", "first_or_only_area", "lead_days"];
  const row = (name: string, lead: Lead) => [
    name, ...[lead.warnings, lead.first, lead.same_day, lead.later, lead.only].map((n) => number(n, 0)),
    cell(lead.first_or_only), cell(lead.first_or_only_area), cell(lead.lead_days),
  ];
  const names = ["matched", "only_ours", "only_theirs"].map((name) => tc("column", name));
  return [
    h("p", { class: "muted" }, t("dashboard.optical_hint", {
      since: found.since, until: found.until, n: found.window_days,
    })),
    stackedChart(t("dashboard.optical"), t("dashboard.warnings"), names, found.months.map((one) => ({
      label: one.month, values: [one.ours - one.only_ours, one.only_ours, one.only_theirs],
    }))),
    table(heads.map((name) => (name ? tc("column", name) : "")), [
      row(t("dashboard.all_months"), found.lead),
      row(tc("column", "november_march"), found.lead_november_march),
    ]),
    anyTable({ ours: found.ours, theirs: found.theirs }),
  ];
}

function card(key: string, ...inside: (HTMLElement | null)[]): HTMLElement {
  return h("section", { class: `card card-${key}` }, h("h2", {}, tc("dashboard", key)), ...inside);
}

export function dashboardView(context: Context): View {
  return new DashboardView(context);
}
