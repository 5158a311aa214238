/** `/dashboard`: the tables and figures that the server offers. */
import type { Map as GlMap } from "maplibre-gl";
import { api, problem } from "./api";
import { createMap } from "./basemap";
import { barChart, cadenceChart } from "./charts";
import { field, fill, h } from "./dom";
import { number, t, tc } from "./i18n";
import { remember } from "./router";
import { anyTable } from "./tables";
import type { Config, Dashboard } from "./types";
import type { Context, View } from "./view";

const SECTIONS = ["counts", "agreement", "accuracy", "field", "season", "monitored", "interpreters"];
/** Drawn as figures, or not for people. */
const FIGURES = ["timeline_issued", "timeline_flagged", "delay", "cadence", "heat"];

class DashboardView implements View {
  readonly title = t("nav.dashboard");
  readonly node: HTMLElement;
  private readonly body = h("div", { class: "cards" });
  private map: GlMap | null = null;
  private gone = false;

  constructor(private readonly context: Context) {
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
      if (!this.gone) this.draw(found);
    } catch (error) {
      fill(this.body, h("p", { class: "error", role: "alert" }, problem(error)));
    } finally {
      this.body.removeAttribute("aria-busy");
    }
  }

  private draw(found: Dashboard): void {
    this.map?.remove();
    this.map = null;
    const more = Object.keys(found).filter((key) => !SECTIONS.includes(key) && !FIGURES.includes(key));
    fill(this.body,
      card("timeline_issued", barChart(t("dashboard.timeline_issued"), "ha", days(found.timeline_issued))),
      card("timeline_flagged", barChart(t("dashboard.timeline_flagged"), "ha", days(found.timeline_flagged))),
      card("delay", ...delay(found)),
      card("cadence", cadenceChart(t("dashboard.cadence"), found.cadence ?? [])),
      this.heat(found.heat),
      ...[...SECTIONS, ...more].filter((key) => found[key] !== undefined && found[key] !== null)
        .map((key) => card(key, anyTable(found[key]))));
  }

  private heat(heat: Dashboard["heat"]): HTMLElement | null {
    if (!heat || heat.cells.length === 0) return null;
    const holder = h("div", { class: "heat-map" });
    const top = Math.max(...heat.cells.map((one) => one.m2_per_ha));
    void createMap(holder, this.context.config, { label: t("dashboard.heat"), mosaic: false }).then((map) => {
      if (this.gone) return map.remove();
      this.map = map;
      heatLayer(map, heat.cells, top, this.context.config);
      return undefined;
    });
    return card("heat", holder, h("p", { class: "muted" },
      t("dashboard.heat_legend", { radius: heat.radius_km, top: number(top) })));
  }

  destroy(): void {
    this.gone = true;
    this.map?.remove();
  }
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

function card(key: string, ...inside: (HTMLElement | null)[]): HTMLElement {
  return h("section", { class: `card card-${key}` }, h("h2", {}, tc("dashboard", key)), ...inside);
}

function heatLayer(map: GlMap, cells: NonNullable<Dashboard["heat"]>["cells"], top: number, config: Config): void {
  const features = cells.map((one) => ({
    type: "Feature" as const,
    properties: { share: one.m2_per_ha / top },
    geometry: { type: "Point" as const, coordinates: [one.lon, one.lat] },
  }));
  map.addSource("heat", { type: "geojson", data: { type: "FeatureCollection", features } });
  map.addLayer({
    id: "heat", type: "circle", source: "heat",
    paint: {
      "circle-radius": ["interpolate", ["exponential", 2], ["zoom"], 3, 4, 8, 28],
      "circle-blur": 0.5,
      "circle-opacity": 0.75,
      "circle-color": ["interpolate", ["linear"], ["get", "share"], 0, "#fff3c4", 0.5, "#f59e0b", 1, "#b91c1c"],
    },
  });
  const [west, south, east, north] = config.bbox;
  const lons = [...cells.map((one) => one.lon), west, east];
  const lats = [...cells.map((one) => one.lat), south, north];
  map.fitBounds([Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)], { padding: 40, animate: false });
}

export function dashboardView(context: Context): View {
  return new DashboardView(context);
}
