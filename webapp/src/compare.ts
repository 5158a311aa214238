/** Two synchronised maps, before and after: side by side, swipe, or blink. */
import type { FeatureCollection, Position } from "geojson";
import type { GeoJSONSource, Map as GlMap } from "maplibre-gl";
import { opticalTiles, productTiles, sarTiles } from "./api";
import { COLOURS, createMap, fit, setPicture, toggleLayer } from "./basemap";
import { button, fill, h, select } from "./dom";
import { day, number, t, tc } from "./i18n";
import { stretchControl } from "./stretch";
import type { Acquisition, Config, Evidence, OpticalImage, WarningDetail } from "./types";

export type Mode = "side" | "swipe" | "blink";
const MODES: Mode[] = ["side", "swipe", "blink"];
const BLINK_MS = 800;
const OPTICAL = "optical:";
const NOTHING: FeatureCollection = { type: "FeatureCollection", features: [] };
const SIDES = ["before", "after"] as const;
type Side = (typeof SIDES)[number];

export class Compare {
  readonly node: HTMLElement;
  mode: Mode = "side";
  /** The acquisitions on show, kept with a vote as its context. */
  shown: Record<Side, string | null> = { before: null, after: null };
  private maps: Partial<Record<Side, GlMap>> = {};
  private panes: Record<Side, HTMLElement>;
  private readonly choosers = { before: h("div", { class: "chooser" }), after: h("div", { class: "chooser" }) };
  private readonly handle: HTMLElement;
  private readonly stage: HTMLElement;
  private readonly modes = new Map<Mode, HTMLButtonElement>();
  private split = 0.5;
  private timer = 0;
  private warning: WarningDetail | null = null;
  private ready: Promise<void>;
  private gone = false;

  constructor(
    private readonly config: Config,
    private readonly clicked: (lon: number, lat: number) => void,
  ) {
    const pane = (side: Side) => h("div", { class: `pane pane-${side}` });
    this.panes = { before: pane("before"), after: pane("after") };
    this.handle = h("div", {
      class: "swipe-handle",
      role: "slider",
      tabindex: 0,
      "aria-label": t("compare.swipe_position"),
      "aria-valuemin": 0,
      "aria-valuemax": 100,
    });
    this.stage = h("div", { class: "stage mode-side" }, this.panes.before, this.panes.after, this.handle);
    this.node = h("section", { class: "compare", "aria-label": t("compare.title") }, this.toolbar(), this.stage);
    this.bindHandle();
    this.ready = this.start();
  }

  private toolbar(): HTMLElement {
    const bar = h("div", { class: "compare-bar" });
    const group = h("div", { class: "segments", role: "group", "aria-label": t("compare.mode") });
    for (const mode of MODES) {
      const node = button(t(`compare.${mode}`), () => this.setMode(mode), {
        "aria-pressed": mode === this.mode ? "true" : "false",
      });
      this.modes.set(mode, node);
      group.append(node);
    }
    const layers = this.config.layers.map((layer) => {
      const box = h("input", { type: "checkbox" });
      box.addEventListener("change", () => {
        for (const map of Object.values(this.maps)) toggleLayer(map, layer, box.checked);
      });
      return h("label", { class: "check" }, box, layer.title || layer.name);
    });
    bar.append(
      this.choosers.before,
      this.choosers.after,
      group,
      button(t("compare.zoom"), () => this.zoom(), { class: "quiet small" }),
    );
    const stretch = stretchControl(this.config, () => {
      for (const side of SIDES) if (this.shown[side]) this.picture(side, this.shown[side]);
    });
    bar.append(h("details", { class: "layers" }, h("summary", {}, t("map.layers")), ...layers, stretch));
    return bar;
  }

  private async start(): Promise<void> {
    const [before, after] = await Promise.all(
      SIDES.map((side) => createMap(this.panes[side], this.config, {
        mosaic: false,
        controls: side === "after",
        label: t(`compare.${side}`),
      })),
    );
    if (!before || !after) return;
    if (this.gone) {
      before.remove();
      after.remove();
      return;
    }
    this.maps = { before, after };
    synchronise(before, after);
    for (const map of [before, after]) {
      addOutline(map);
      map.on("click", (event) => this.clicked(event.lngLat.lng, event.lngLat.lat));
    }
  }

  /** Put a warning and its pictures on both maps. */
  async show(warning: WarningDetail, evidence: Evidence | null): Promise<void> {
    this.warning = warning;
    await this.ready;
    if (this.gone || this.warning !== warning) return;
    const polygon = { type: "Feature" as const, properties: {}, geometry: warning.geometry };
    for (const map of Object.values(this.maps)) {
      (map.getSource("warning") as GeoJSONSource | undefined)?.setData(polygon);
    }
    this.choose("before", evidence?.before ?? []);
    this.choose("after", evidence?.after ?? [], evidence?.on);
    this.zoom();
  }

  /** Offer optical images as well, below the radar's. */
  offer(warning: string, found: Record<Side, OpticalImage[]>): void {
    if (this.gone || this.warning?.warning_id !== warning) return;
    for (const side of SIDES) {
      const chooser = this.choosers[side].querySelector("select");
      chooser?.append(...found[side].map((one) => h("option", { value: OPTICAL + one.image_id }, [
        day(one.day), one.platform, one.cloud === null ? t("compare.cloud_unsaid") : t("compare.cloud", { n: number(one.cloud, 0) }),
      ].filter(Boolean).join(" · "))));
    }
  }

  /** Offer pictures; shown is the newest up to `on`: what was seen, not what grew since. */
  private choose(side: Side, found: Acquisition[], on?: string | null): void {
    const options: [string, string][] = found.map((a) => [
      a.acquisition_id,
      `${day(a.day)} · ${short(a.platform)} · ${a.relative_orbit}`,
    ]);
    for (const a of side === "after" ? found.filter((one) => one.product) : []) {
      for (const band of this.config.product_bands) {
        options.push([`${a.acquisition_id}/${band}`, `${day(a.day)} · ${tc("band", band)}`]);
      }
    }
    options.push(["mosaic", t("compare.mosaic")]);
    const then = on && found.find((a) => a.day <= on);
    const first = (then ? then.acquisition_id : options[0]?.[0]) ?? "mosaic";
    fill(
      this.choosers[side],
      h("label", { class: "inline" }, h("span", { class: `tag tag-${side}` }, t(`compare.${side}`)), select(
        options,
        first,
        (value) => this.picture(side, value),
        { "aria-label": t(`compare.date_${side}`) },
      )),
    );
    this.picture(side, first);
  }

  private picture(side: Side, value: string): void {
    const map = this.maps[side];
    if (!map) return;
    this.shown[side] = value;
    if (value.startsWith(OPTICAL)) {
      setPicture(map, "sar", opticalTiles(value.slice(OPTICAL.length)), this.config);
      setPicture(map, "product", null, this.config);
      return;
    }
    const [acquisition = "mosaic", band] = value.split("/");
    setPicture(map, "sar", sarTiles(acquisition), this.config);
    setPicture(map, "product", band ? productTiles(acquisition, band) : null, this.config);
  }

  setMode(mode: Mode): void {
    this.mode = mode;
    window.clearInterval(this.timer);
    for (const [name, node] of this.modes) node.setAttribute("aria-pressed", String(name === mode));
    this.stage.className = `stage mode-${mode}`;
    this.panes.after.style.clipPath = "";
    if (mode === "swipe") this.setSplit(this.split);
    if (mode === "blink") {
      this.timer = window.setInterval(() => this.stage.classList.toggle("hide-after"), BLINK_MS);
    }
    for (const map of Object.values(this.maps)) map.resize();
  }

  /** The mode, or back to side by side: what a key does. */
  toggle(mode: Mode): void {
    this.setMode(this.mode === mode ? "side" : mode);
  }

  zoom(): void {
    const map = this.maps.before;
    if (map && this.warning) fit(map, this.warning.bbox);
  }

  private setSplit(share: number): void {
    this.split = Math.min(1, Math.max(0, share));
    const percent = this.split * 100;
    this.handle.style.left = `${percent}%`;
    this.handle.setAttribute("aria-valuenow", percent.toFixed(0));
    if (this.mode === "swipe") this.panes.after.style.clipPath = `inset(0 0 0 ${percent}%)`;
  }

  private bindHandle(): void {
    this.handle.addEventListener("pointerdown", (event) => {
      this.handle.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    this.handle.addEventListener("pointermove", (event) => {
      if (!this.handle.hasPointerCapture(event.pointerId)) return;
      const box = this.stage.getBoundingClientRect();
      this.setSplit((event.clientX - box.left) / box.width);
    });
    this.handle.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -0.05, ArrowRight: 0.05, Home: -1, End: 1 }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      event.stopPropagation();
      this.setSplit(this.split + step);
    });
  }

  /** Mark the place of the series that is shown. */
  async mark(lon: number, lat: number): Promise<void> {
    await this.ready;
    const place = { type: "Feature" as const, properties: {}, geometry: { type: "Point" as const, coordinates: [lon, lat] } };
    for (const map of Object.values(this.maps)) (map.getSource("pixel") as GeoJSONSource | undefined)?.setData(place);
  }

  /** Draw a ring being made, over both maps; fewer than two corners clear it. */
  sketch(ring: Position[]): void {
    const shape = { type: "Feature" as const, properties: {}, geometry: { type: "LineString" as const, coordinates: ring } };
    for (const map of Object.values(this.maps)) {
      (map.getSource("sketch") as GeoJSONSource | undefined)?.setData(ring.length > 1 ? shape : NOTHING);
    }
  }

  destroy(): void {
    this.gone = true;
    window.clearInterval(this.timer);
    for (const map of Object.values(this.maps)) map.remove();
  }
}

/** "sentinel-1a" as S1A. */
function short(platform: string): string {
  return platform.replace(/^sentinel-(\d)([a-z])$/i, (_, n: string, unit: string) => `S${n}${unit.toUpperCase()}`);
}

/** What one map does, the other does. */
function synchronise(a: GlMap, b: GlMap): void {
  let busy = false;
  const follow = (from: GlMap, to: GlMap) => () => {
    if (busy) return;
    busy = true;
    to.jumpTo({ center: from.getCenter(), zoom: from.getZoom() });
    busy = false;
  };
  a.on("move", follow(a, b));
  b.on("move", follow(b, a));
}

function addOutline(map: GlMap): void {
  const line = (source: string, id: string, colour: string, width: number) => map.addLayer({
    id,
    type: "line",
    source,
    paint: { "line-color": colour, "line-width": width },
  });
  map.addSource("warning", { type: "geojson", data: NOTHING });
  map.addSource("sketch", { type: "geojson", data: NOTHING });
  line("warning", "warning-casing", "#10201a", 4);
  line("warning", "warning-line", COLOURS.selected, 2);
  line("sketch", "sketch-line", "#ffea00", 2.5);
  map.addSource("pixel", { type: "geojson", data: NOTHING });
  map.addLayer({
    id: "pixel",
    type: "circle",
    source: "pixel",
    paint: { "circle-radius": 4, "circle-opacity": 0, "circle-stroke-color": "#ffffff", "circle-stroke-width": 2 },
  });
}
