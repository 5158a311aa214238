/** The warnings of a first view on a plain canvas: they are seen while the map itself is still being made. */
import type { MultiPolygon, Point, Polygon, Position } from "geojson";
import { COLOURS } from "./basemap";
import { pixelsOf, type Camera } from "./camera";
import type { WarningCollection } from "./types";

type Feature = WarningCollection["features"][number];

/** Radius of a cell's circle, as the map's own layer has it. */
function radius(count: number): number {
  return 7 + (17 * (Math.min(30, Math.sqrt(count)) - 1)) / 29;
}

/** A mixture of two colours "#rrggbb"; 0 is the first. */
function mixed(first: string, second: string, share: number): string {
  const part = (text: string, at: number) => parseInt(text.slice(at, at + 2), 16);
  const parts = [1, 3, 5].map((at) => Math.round(part(first, at) * (1 - share) + part(second, at) * share));
  return `rgb(${parts.join(" ")})`;
}

function drawCell(ink: CanvasRenderingContext2D, [x, y]: Position, { count = 1, confirmed = 0 }: Feature["properties"]): void {
  ink.beginPath();
  ink.arc(x as number, y as number, radius(count), 0, 2 * Math.PI);
  ink.globalAlpha = 0.8;
  ink.fillStyle = mixed(COLOURS.preliminary, COLOURS.confirmed, confirmed / count);
  ink.fill();
  ink.globalAlpha = 1;
  ink.strokeStyle = "#ffffff";
  ink.lineWidth = 1.5;
  ink.stroke();
  ink.fillStyle = COLOURS.text;
  ink.fillText(String(count), x as number, y as number);
}

function drawPolygon(ink: CanvasRenderingContext2D, rings: Position[][], status: string): void {
  ink.beginPath();
  for (const ring of rings) {
    ring.forEach(([x, y], i) => (i === 0 ? ink.moveTo(x as number, y as number) : ink.lineTo(x as number, y as number)));
    ink.closePath();
  }
  ink.strokeStyle = status === "confirmed" ? COLOURS.confirmed : status === "closed" ? COLOURS.closed : COLOURS.preliminary;
  ink.lineWidth = 2;
  ink.stroke();
}

function rings(shape: Polygon | MultiPolygon): Position[][] {
  return shape.type === "Polygon" ? shape.coordinates : shape.coordinates.flat();
}

/** A canvas of a map's size that shows what was found, as the map will. */
export function preview(width: number, height: number, camera: Camera, found: WarningCollection): HTMLCanvasElement {
  const canvas = document.createElement("canvas");
  const fine = window.devicePixelRatio;
  canvas.className = "map-preview";
  canvas.setAttribute("aria-hidden", "true");
  canvas.width = width * fine;
  canvas.height = height * fine;
  const ink = canvas.getContext("2d");
  if (!ink) return canvas;
  ink.scale(fine, fine);
  ink.font = "12px sans-serif";
  ink.textAlign = "center";
  ink.textBaseline = "middle";
  const place = pixelsOf(camera, width, height);
  for (const { geometry, properties } of found.features) {
    if (properties.cluster) drawCell(ink, place((geometry as Point).coordinates), properties);
    else if (geometry.type !== "Point") drawPolygon(ink, rings(geometry).map((ring) => ring.map(place)), properties.status ?? "");
  }
  return canvas;
}
