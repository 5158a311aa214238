/** The map for everyone: warnings as polygons, or as cells where there are many. */
import type { Feature, FeatureCollection, MultiPolygon, Point, Polygon, Position } from "geojson";
import type { GeoJSONSource, Map as GlMap, MapMouseEvent } from "maplibre-gl";
import { aborted, api, problem, sarTiles } from "./api";
import { COLOURS, FONT, newMap, setPicture, styled, toggleLayer, wholeArea } from "./basemap";
import { boundsOf, type Camera } from "./camera";
import { CANDIDATE_LAYER, candidateDialog, toggleCandidates } from "./candidates";
import { debounce, h, later, toast } from "./dom";
import { t } from "./i18n";
import { preview } from "./preview";
import { stretchControl } from "./stretch";
import type { Box, Candidate, Config, WarningCollection } from "./types";

/** Below this zoom the server may answer with cells (docs/web.md). */
const CELLS_BELOW = 12;
/** The map is made when the warnings are in sight, or after so long: making it takes the processor for a while. */
const WARNINGS_FIRST_MS = 1000;
const EMPTY: FeatureCollection = { type: "FeatureCollection", features: [] };
type Listener = { opened: (id: string) => void; clicked: (lon: number, lat: number) => void; moved: (box: Box) => void };

export class ExploreMap {
  readonly node = h("div", { class: "explore-map" });
  private map: GlMap | null = null;
  private query = new URLSearchParams();
  private request: AbortController | null = null;
  /** What was fetched last, so that a small move asks for nothing. */
  private held: { box: Box; zoom: number; complete: boolean; cells: boolean } | null = null;
  private gone = false;
  private readonly canvas = h("div", { class: "map-canvas" });
  /** Stands for the map until that is drawn. */
  private sketch: HTMLCanvasElement | null = null;
  private camera: Camera | null = null;
  /** The map has its place in the page: what it shows is known, though it is not made yet. */
  readonly placed: Promise<void>;
  private first: () => void = () => undefined;
  private readonly answered = new Promise<void>((resolve) => { this.first = resolve; });
  /** The map can be drawn on. */
  private readonly ready: Promise<void>;

  /** `begin`: when to make the map, which takes the processor for a while. */
  constructor(private readonly config: Config, private readonly on: Listener, view: string | null, begin: Promise<void>) {
    this.canvas.setAttribute("aria-busy", "true");
    this.node.append(this.canvas, this.layerMenu());
    this.placed = Promise.resolve().then(() => {
      const [zoom, lat, lon] = (view ?? "").split("/").map(Number);
      this.camera = zoom && lat && lon ? { zoom, lat, lon } : wholeArea(this.canvas, this.config);
    });
    const warnings = Promise.race([this.answered, later(WARNINGS_FIRST_MS)]);
    this.ready = Promise.all([begin, warnings]).then(() => this.start());
  }

  private async start(): Promise<void> {
    if (this.gone || !this.camera) return;
    const map = await newMap(this.canvas, this.config, { label: t("map.title"), camera: this.camera });
    if (this.gone) return map.remove();
    this.map = map;
    await styled(map);
    if (this.gone) return;
    addLayers(map);
    for (const event of ["idle", "movestart"] as const) map.once(event, () => this.sketch?.remove());
    const settle = debounce(() => {
      this.on.moved(this.box());
      void this.refresh();
    }, 120);
    map.on("moveend", settle);
    map.on("click", (event) => this.click(event));
    for (const layer of ["warning-fill", "warning-dots", "cells"]) {
      map.on("mouseenter", layer, () => { map.getCanvas().style.cursor = "pointer"; });
      map.on("mouseleave", layer, () => { map.getCanvas().style.cursor = ""; });
    }
  }

  private layerMenu(): HTMLElement {
    const entry = (title: string, on: boolean, change: (on: boolean) => void) => {
      const box = h("input", { type: "checkbox", checked: on });
      box.addEventListener("change", () => change(box.checked));
      return h("label", { class: "check" }, box, title);
    };
    let mosaic = true;
    const picture = () => {
      if (this.map) setPicture(this.map, "sar", mosaic ? sarTiles("mosaic") : null, this.config);
    };
    return h("details", { class: "layers floating" },
      h("summary", {}, t("map.layers")),
      entry(t("map.mosaic"), true, (on) => {
        mosaic = on;
        picture();
      }),
      stretchControl(this.config, picture),
      ...this.config.layers.map((layer) => entry(layer.title || layer.name, false, (on) => {
        if (this.map) toggleLayer(this.map, layer, on);
      })),
      // The server shows them to known people only.
      this.config.role && entry(t("candidate.layer"), false, (on) => {
        if (this.map) toggleCandidates(this.map, on);
      }),
      h("p", { class: "legend" },
        h("span", { class: "swatch swatch-status-preliminary" }), t("status.preliminary"),
        h("span", { class: "swatch swatch-status-confirmed" }), t("status.confirmed"),
        h("span", { class: "swatch swatch-status-closed" }), t("status.closed")));
  }

  box(): Box {
    const bounds = this.map?.getBounds();
    if (bounds) return [bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()];
    const { clientWidth, clientHeight } = this.canvas;
    return this.camera ? boundsOf(this.camera, clientWidth, clientHeight) : this.config.bbox;
  }

  private zoom(): number {
    return this.map?.getZoom() ?? this.camera?.zoom ?? 0;
  }

  /** zoom/lat/lon, for the address. */
  view(): string | null {
    if (!this.map) return null;
    const { lng, lat } = this.map.getCenter();
    return [this.map.getZoom().toFixed(2), lat.toFixed(4), lng.toFixed(4)].join("/");
  }

  async filter(query: URLSearchParams): Promise<void> {
    this.query = query;
    this.held = null;
    await this.placed;
    await this.refresh();
  }

  private async refresh(): Promise<void> {
    if (this.gone) return;
    const zoom = Math.floor(this.zoom());
    if (this.holds(zoom)) return;
    const box = widened(this.box(), zoom);
    const query = new URLSearchParams(this.query);
    query.delete("sort");
    query.set("bbox", box.map((value) => value.toFixed(4)).join(","));
    query.set("zoom", String(zoom));
    this.request?.abort();
    this.request = new AbortController();
    try {
      const { signal } = this.request;
      const found = await api.collection(query, signal);
      if (!this.map) this.outline(found);
      // A frame later the sketch is painted, and the map may take the processor.
      requestAnimationFrame(() => setTimeout(() => this.first()));
      await this.ready;
      if (this.gone || signal.aborted || !this.map) return;
      const cells = found.features.some((feature) => feature.properties.cluster);
      this.held = { box, zoom, complete: !found.truncated, cells };
      draw(this.map, found, cells);
      if (found.truncated) toast(t("map.truncated"));
    } catch (error) {
      if (!aborted(error)) toast(problem(error), "error");
    } finally {
      this.first();
    }
  }

  /** Show what was found before there is a map. */
  private outline(found: WarningCollection): void {
    if (this.gone || !this.camera) return;
    this.sketch?.remove();
    this.sketch = preview(this.canvas.clientWidth, this.canvas.clientHeight, this.camera, found);
    this.canvas.after(this.sketch);
  }

  private holds(zoom: number): boolean {
    if (!this.held?.complete) return false;
    const [w, s, e, n] = this.box();
    const [hw, hs, he, hn] = this.held.box;
    const inside = w >= hw && s >= hs && e <= he && n <= hn;
    return inside && (this.held.cells ? this.held.zoom === zoom : zoom >= this.held.zoom || zoom >= CELLS_BELOW);
  }

  private click(event: MapMouseEvent): void {
    const map = this.map;
    if (!map) return;
    const { x, y } = event.point;
    const near: [[number, number], [number, number]] = [[x - 4, y - 4], [x + 4, y + 4]];
    const square = map.getLayer(CANDIDATE_LAYER) && map.queryRenderedFeatures(near, { layers: [CANDIDATE_LAYER] })[0];
    if (square) {
      candidateDialog(map, this.config, square.properties as Candidate);
      return;
    }
    const hit = map.queryRenderedFeatures(near, { layers: ["warning-dots", "warning-fill", "cells"] })[0];
    const id: unknown = hit?.properties["warning_id"];
    if (typeof id === "string") this.on.opened(id);
    else if (hit) map.easeTo({ center: event.lngLat, zoom: Math.min(map.getZoom() + 2, CELLS_BELOW + 0.5) });
    else this.on.clicked(event.lngLat.lng, event.lngLat.lat);
  }

  destroy(): void {
    this.gone = true;
    this.request?.abort();
    this.map?.remove();
    this.map = null;
  }
}

/** A box snapped outwards to a grid of 256 screen pixels: a short pan asks for nothing,
 * and people who look at one place ask for the same, which the server has at hand. */
function widened([w, s, e, n]: Box, zoom: number): Box {
  const step = 180 / 2 ** zoom;
  const low = (value: number) => Math.floor(value / step) * step;
  const high = (value: number) => Math.ceil(value / step) * step;
  return [Math.max(-180, low(w)), Math.max(-90, low(s)), Math.min(180, high(e)), Math.min(90, high(n))];
}

function draw(map: GlMap, found: WarningCollection, cells: boolean): void {
  const source = (name: string) => map.getSource(name) as GeoJSONSource;
  source("cells").setData(cells ? found : EMPTY);
  source("warnings").setData(cells ? EMPTY : found);
  source("dots").setData(cells ? EMPTY : dots(found));
}

/** A point for each polygon: a hectare is less than a screen pixel on a state's map. */
function dots(found: WarningCollection): FeatureCollection<Point> {
  const features = found.features.flatMap((feature): Feature<Point>[] => {
    const first = corner(feature.geometry);
    if (!first) return [];
    return [{
      type: "Feature",
      properties: feature.properties,
      geometry: { type: "Point", coordinates: first },
    }];
  });
  return { type: "FeatureCollection", features };
}

function corner(geometry: Point | Polygon | MultiPolygon): Position | undefined {
  if (geometry.type === "Point") return geometry.coordinates;
  return geometry.type === "Polygon" ? geometry.coordinates[0]?.[0] : geometry.coordinates[0]?.[0]?.[0];
}

function addLayers(map: GlMap): void {
  for (const name of ["cells", "warnings", "dots"]) map.addSource(name, { type: "geojson", data: EMPTY });
  const byStatus = ["match", ["get", "status"],
    "confirmed", COLOURS.confirmed, "closed", COLOURS.closed, COLOURS.preliminary] as const;
  map.addLayer({
    id: "warning-fill", type: "fill", source: "warnings",
    paint: {
      "fill-color": byStatus as never,
      "fill-opacity": ["match", ["get", "intensity_class"], "high_intensity", 0.35, 0.15],
    },
  });
  map.addLayer({
    id: "warning-casing", type: "line", source: "warnings", minzoom: 10,
    paint: { "line-color": "#ffffff", "line-width": 3.5, "line-opacity": 0.8 },
  });
  map.addLayer({
    id: "warning-line", type: "line", source: "warnings",
    paint: { "line-color": byStatus as never, "line-width": 2 },
  });
  map.addLayer({
    id: "warning-dots", type: "circle", source: "dots", maxzoom: 12,
    paint: {
      "circle-color": byStatus as never,
      "circle-radius": ["interpolate", ["linear"], ["zoom"], 4, 2.5, 11, 5],
      "circle-stroke-color": "#ffffff",
      "circle-stroke-width": 1,
    },
  });
  map.addLayer({
    id: "cells", type: "circle", source: "cells",
    paint: {
      "circle-color": ["interpolate", ["linear"], ["/", ["get", "confirmed"], ["get", "count"]],
        0, COLOURS.preliminary, 1, COLOURS.confirmed],
      "circle-opacity": 0.8,
      "circle-radius": ["interpolate", ["linear"], ["sqrt", ["get", "count"]], 1, 7, 30, 24],
      "circle-stroke-color": "#ffffff",
      "circle-stroke-width": 1.5,
    },
  });
  map.addLayer({
    id: "cell-counts", type: "symbol", source: "cells",
    layout: { "text-field": ["to-string", ["get", "count"]], "text-font": FONT, "text-size": 12 },
    paint: { "text-color": COLOURS.text, "text-halo-color": "#ffffff", "text-halo-width": 1.6 },
  });
}
