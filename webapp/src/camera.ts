/** What a map shows, known before the map is made: what it needs is asked for meanwhile. */
import type { Position } from "geojson";
import type { Box } from "./types";

export interface Camera {
  lon: number;
  lat: number;
  zoom: number;
}

/** Side of the world at zoom 0, screen pixels, as MapLibre counts. */
const WORLD = 512;
const EDGE = 85.051129;

const across = (lon: number) => (lon + 180) / 360;
const down = (lat: number) => (1 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / Math.PI) / 2;
const lonOf = (x: number) => x * 360 - 180;
const latOf = (y: number) => (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI;

/** The camera that shows a box whole, some pixels from the edges of a canvas. */
export function fitting([w, s, e, n]: Box, width: number, height: number, padding: number, maxZoom: number): Camera {
  const [left, right, top, bottom] = [across(w), across(e), down(n), down(s)];
  const scale = Math.min(
    Math.max(1, width - 2 * padding) / Math.max(1e-9, right - left),
    Math.max(1, height - 2 * padding) / Math.max(1e-9, bottom - top),
  );
  return { lon: lonOf((left + right) / 2), lat: latOf((top + bottom) / 2), zoom: Math.min(maxZoom, Math.log2(scale / WORLD)) };
}

/** Where a place lies on a canvas, screen pixels from its corner. */
export function pixelsOf(camera: Camera, width: number, height: number): (place: Position) => Position {
  const world = WORLD * 2 ** camera.zoom;
  const left = across(camera.lon) * world - width / 2;
  const top = down(camera.lat) * world - height / 2;
  return ([lon, lat]) => [across(lon as number) * world - left, down(lat as number) * world - top];
}

/** Bounds of what a canvas shows of the world; a map never shows what lies beyond the poles. */
export function boundsOf(camera: Camera, width: number, height: number): Box {
  const world = WORLD * 2 ** camera.zoom;
  const [x, y] = [across(camera.lon), down(camera.lat)];
  const lat = (at: number) => Math.min(EDGE, Math.max(-EDGE, latOf(at)));
  return [
    lonOf(x - width / 2 / world), lat(y + height / 2 / world),
    lonOf(x + width / 2 / world), lat(y - height / 2 / world),
  ];
}
