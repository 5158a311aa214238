/** Maps that need no outside host: background, outlines of the states, own radar mosaic. */
import type { LayerSpecification, Map as GlMap, StyleSpecification } from "maplibre-gl";
import { sarTiles, xyzTiles } from "./api";
import { fitting, type Camera } from "./camera";
import { t } from "./i18n";
import type { Box, Config, MapLayer } from "./types";

/** Most of what the page loads: it comes while lists are asked for and shown. */
const library = import("maplibre-gl").then((gl) => {
  gl.setWorkerUrl(`${location.origin}/static/maplibre-gl-worker.js`);
  gl.prewarm();
  return gl;
});

export const COLOURS = {
  background: "#dbe4e8",
  land: "#eef1ea",
  border: "#8b978f",
  preliminary: "#ffb000",
  confirmed: "#e03127",
  closed: "#6b7280",
  selected: "#00e5ff",
  overlay: "#5b21b6",
  text: "#16211c",
} as const;

/** Layers below which the pictures lie, so that outlines stay visible. */
const ABOVE_PICTURES = "state-lines";
export const FONT = ["sans-serif"];

function style(config: Config, mosaic: boolean): StyleSpecification {
  const pictures: LayerSpecification[] = [{ id: "sar", type: "raster", source: "sar" }];
  if (!mosaic) pictures[0] = { id: "sar", type: "raster", source: "sar", layout: { visibility: "none" } };
  return {
    version: 8,
    sources: {
      states: { type: "geojson", data: `${location.origin}/static/outlines.json` },
      sar: rasterSource(sarTiles("mosaic"), config),
    },
    layers: [
      { id: "background", type: "background", paint: { "background-color": COLOURS.background } },
      { id: "land", type: "fill", source: "states", paint: { "fill-color": COLOURS.land } },
      ...pictures,
      {
        id: ABOVE_PICTURES,
        type: "line",
        source: "states",
        paint: { "line-color": COLOURS.border, "line-width": 1 },
      },
      {
        id: "state-names",
        type: "symbol",
        source: "states",
        filter: ["==", ["geometry-type"], "Point"],
        maxzoom: 8,
        layout: { "text-field": ["get", "uf"], "text-font": FONT, "text-size": 12 },
        paint: { "text-color": "#4b5850", "text-halo-color": "#ffffff", "text-halo-width": 1.2 },
      },
    ],
  };
}

export function rasterSource(tiles: string, config: Config) {
  return {
    type: "raster" as const,
    tiles: [tiles],
    tileSize: 256,
    minzoom: config.tile_minzoom,
    maxzoom: config.tile_maxzoom,
    bounds: config.bbox,
  };
}

export interface MapOptions {
  mosaic?: boolean;
  controls?: boolean;
  label: string;
  camera?: Camera;
}

/** Where a map of a container starts: the whole area. */
export function wholeArea(container: HTMLElement, config: Config): Camera {
  return fitting(config.bbox, container.clientWidth, container.clientHeight, 30, 15);
}

/** A map in `container`; resolves when its style may be added to. */
export async function createMap(container: HTMLElement, config: Config, options: MapOptions): Promise<GlMap> {
  const map = await newMap(container, config, options);
  await styled(map);
  return map;
}

/** Resolves when the map's style may be added to. */
export function styled(map: GlMap): Promise<void> {
  return new Promise((resolve) => {
    if (map.isStyleLoaded()) resolve();
    else map.once("style.load", () => resolve());
  });
}

/** A map that knows what it shows, but not yet how; its container stands in the page by then. */
export async function newMap(container: HTMLElement, config: Config, options: MapOptions): Promise<GlMap> {
  const gl = await library;
  const camera = options.camera ?? wholeArea(container, config);
  const map = new gl.Map({
    container,
    style: style(config, options.mosaic ?? true),
    center: [camera.lon, camera.lat],
    zoom: camera.zoom,
    attributionControl: false,
    fadeDuration: 0,
    dragRotate: false,
    pitchWithRotate: false,
    maxZoom: 18,
    locale: {
      "NavigationControl.ZoomIn": t("map.zoom_in"),
      "NavigationControl.ZoomOut": t("map.zoom_out"),
      "GeolocateControl.FindMyLocation": t("map.locate"),
      "GeolocateControl.LocationNotAvailable": t("map.no_location"),
      "Map.Title": options.label,
    },
  });
  map.touchZoomRotate.disableRotation();
  if (options.controls ?? true) {
    map.addControl(new gl.AttributionControl({ compact: true, customAttribution: config.attribution }));
    map.addControl(new gl.NavigationControl({ showCompass: false }), "top-right");
    // In the field: where am I, and how far is it? Only the browser learns the place.
    map.addControl(new gl.GeolocateControl({ positionOptions: { enableHighAccuracy: true }, trackUserLocation: true }), "top-right");
    map.addControl(new gl.ScaleControl({ maxWidth: 110 }), "bottom-left");
  }
  if (window.matchMedia("(max-width: 760px)").matches) {
    // The notice stays one tap away; open it would cover a phone's map.
    const notice = container.querySelector(".maplibregl-ctrl-attrib");
    notice?.classList.remove("maplibregl-compact-show");
    notice?.removeAttribute("open");
  }
  // Screen readers hear, and tests wait, that a map is being drawn.
  container.setAttribute("aria-busy", "true");
  map.on("dataloading", () => container.setAttribute("aria-busy", "true"));
  map.on("idle", () => container.setAttribute("aria-busy", "false"));
  // A tile that the server lacks is a gap in the picture, not a fault of the page.
  map.on("error", () => undefined);
  return map;
}

/** Show other tiles in the picture layer `name`, or none. */
export function setPicture(map: GlMap, name: string, tiles: string | null, config: Config): void {
  const source = map.getSource(name);
  if (!tiles) {
    if (map.getLayer(name)) map.setLayoutProperty(name, "visibility", "none");
    return;
  }
  if (source && "setTiles" in source) {
    (source as unknown as { setTiles(tiles: string[]): void }).setTiles([tiles]);
  } else {
    map.addSource(name, rasterSource(tiles, config));
    map.addLayer({ id: name, type: "raster", source: name }, ABOVE_PICTURES);
  }
  map.setLayoutProperty(name, "visibility", "visible");
}

/** Switch a layer of `config.layers` on or off. */
export function toggleLayer(map: GlMap, layer: MapLayer, on: boolean): void {
  const name = `layer-${layer.name}`;
  if (layer.kind === "xyz") {
    // Configured pictures are not confined to the area of the workspace.
    if (on && !map.getSource(name)) {
      map.addSource(name, { type: "raster", tiles: [xyzTiles(layer.name)], tileSize: 256 });
      map.addLayer({ id: name, type: "raster", source: name }, map.getLayer("sar") ? "sar" : ABOVE_PICTURES);
    }
  } else if (on && !map.getSource(name)) {
    map.addSource(name, {
      type: "geojson",
      data: `${location.origin}/api/layers/${encodeURIComponent(layer.name)}.geojson`,
    });
    map.addLayer({
      id: name,
      type: "line",
      source: name,
      paint: { "line-color": layer.name === "area" ? "#0f4c3a" : COLOURS.overlay, "line-width": 1.6 },
    });
  }
  if (map.getLayer(name)) map.setLayoutProperty(name, "visibility", on ? "visible" : "none");
}

export function fit(map: GlMap, box: Box, maxZoom = 15): void {
  map.fitBounds(box, {
    padding: 50,
    maxZoom,
    animate: false,
  });
}
