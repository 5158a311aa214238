/** Maps of the dashboard: the density of disturbance, and where warnings were visited. */
import type { Point } from "geojson";
import type { Map as GlMap } from "maplibre-gl";
import { createMap } from "./basemap";
import { legend } from "./charts";
import { h } from "./dom";
import { number, t, tc } from "./i18n";
import { navigate } from "./router";
import type { Category, Dashboard, FieldPoint } from "./dashtypes";
import type { Config } from "./types";

const CATEGORY_COLOURS: Record<Category, string> = {
  agreement: "#1d6b52",
  minor: "#b27d00",
  major: "#c81e1e",
  unassessed: "#6b7280",
};

/** Maps that live as long as what the dashboard shows. */
export class DashMaps {
  private maps: GlMap[] = [];
  private generation = 0;

  constructor(private readonly config: Config) {}

  clear(): void {
    this.generation += 1;
    for (const map of this.maps) map.remove();
    this.maps = [];
  }

  private holder(label: string, places: { lon: number; lat: number }[], made: (map: GlMap) => void): HTMLElement {
    const node = h("div", { class: "dash-map" });
    const generation = this.generation;
    void createMap(node, this.config, { label, mosaic: false }).then((map) => {
      if (generation !== this.generation) return map.remove();
      this.maps.push(map);
      const [west, south, east, north] = this.config.bbox;
      const lons = [...places.map((one) => one.lon), west, east];
      const lats = [...places.map((one) => one.lat), south, north];
      map.fitBounds([Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)], {
        padding: 40, animate: false,
      });
      made(map);
      return undefined;
    });
    return node;
  }

  heat(heat: NonNullable<Dashboard["heat"]>): HTMLElement[] {
    const top = Math.max(...heat.cells.map((one) => one.m2_per_ha));
    const node = this.holder(t("dashboard.heat"), heat.cells, (map) => {
      const features = heat.cells.map((one) => square(one, heat.side_km, one.m2_per_ha / top));
      map.addSource("heat", { type: "geojson", data: { type: "FeatureCollection", features } });
      map.addLayer({
        id: "heat", type: "fill", source: "heat",
        paint: {
          "fill-antialias": false,
          "fill-opacity": 0.75,
          "fill-color": ["interpolate", ["linear"], ["get", "share"], 0, "#fff3c4", 0.5, "#f59e0b", 1, "#b91c1c"],
        },
      }, "state-lines");
    });
    return [node, h("p", { class: "muted" },
      h("span", { class: "ramp" }), " ",
      t("dashboard.heat_legend", { radius: heat.radius_km, top: number(top, top < 1 ? 3 : 1) }))];
  }

  field(points: FieldPoint[]): HTMLElement[] {
    const node = this.holder(t("dashboard.field"), points, (map) => {
      const features = points.map((one) => ({
        type: "Feature" as const,
        properties: { colour: CATEGORY_COLOURS[one.category], warning_id: one.warning_id },
        geometry: { type: "Point" as const, coordinates: [one.lon, one.lat] } as Point,
      }));
      map.addSource("field", { type: "geojson", data: { type: "FeatureCollection", features } });
      map.addLayer({
        id: "field", type: "circle", source: "field",
        paint: {
          "circle-color": ["get", "colour"], "circle-radius": 6,
          "circle-stroke-color": "#ffffff", "circle-stroke-width": 1.5,
        },
      });
      map.on("click", "field", (event) => {
        const id: unknown = event.features?.[0]?.properties["warning_id"];
        if (typeof id === "string") navigate(`/w/${encodeURIComponent(id)}`);
      });
    });
    const present = Object.keys(CATEGORY_COLOURS).filter((name) => points.some((one) => one.category === name));
    return [node, h("p", {}, legend(present.map((name) => [`category-${name}`, tc("category", name)])))];
  }
}

/** A cell of the density as a square of the ground. */
function square(one: { lon: number; lat: number }, side: number, share: number) {
  const dy = side / 111.32 / 2;
  const dx = dy / Math.cos((one.lat * Math.PI) / 180);
  const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]] as const;
  return {
    type: "Feature" as const,
    properties: { share },
    geometry: {
      type: "Polygon" as const,
      coordinates: [corners.map(([x, y]) => [one.lon + x * dx, one.lat + y * dy])],
    },
  };
}
