/** Any answer of the dashboard as tables: the server may add columns without a new page. */
import { table } from "./charts";
import { h } from "./dom";
import { number, t, tc } from "./i18n";
import type { Estimate } from "./dashtypes";

type Row = Record<string, unknown>;

function isEstimate(value: unknown): value is Estimate {
  return isRow(value) && "value" in value && "low" in value && "high" in value;
}

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A name in the reader's language where the dictionaries have it. */
export function name(code: string): string {
  for (const vocabulary of ["column", "verdict", "status", "intensity", "category", "reason", "field", "mask"]) {
    const text = tc(vocabulary, code);
    if (text !== code.replaceAll("_", " ")) return text;
  }
  return code.replaceAll("_", " ");
}

export function cell(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (isEstimate(value)) {
    const range = value.low === null || value.high === null ? "" : ` [${number(value.low, 3)}–${number(value.high, 3)}]`;
    return `${number(value.value, 3)}${range}${value.n === null ? "" : ` n=${number(value.n, 0)}`}`;
  }
  if (typeof value === "number") return number(value, Math.abs(value) < 10 ? 3 : 1);
  if (typeof value === "boolean") return value ? t("yes") : t("no");
  if (typeof value === "string") return name(value);
  if (Array.isArray(value)) return value.map(cell).join(", ");
  return Object.entries(value).map(([key, one]) => `${name(key)}: ${cell(one)}`).join("; ");
}

/** A table of rows, of named rows, or of names and values, whichever `value` is. */
export function anyTable(value: unknown): HTMLElement {
  if (Array.isArray(value) && value.length > 0 && value.every(isRow)) return ofRows(value);
  if (isRow(value) && Object.keys(value).length > 0 && !isEstimate(value)) return ofNames(value);
  if (value === null || value === undefined || (Array.isArray(value) && value.length === 0)) return nothing();
  if (isRow(value) && !isEstimate(value)) return nothing();
  return h("p", {}, cell(value));
}

function nothing(): HTMLElement {
  return h("p", { class: "muted" }, t("dashboard.nothing"));
}

function ofRows(rows: Row[]): HTMLElement {
  const heads = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  return table(heads.map(name), rows.map((row) => heads.map((head) => cell(row[head]))));
}

function ofNames(value: Row): HTMLElement {
  const entries = Object.entries(value);
  const nested = entries.filter(([, one]) => (isRow(one) && !isEstimate(one)) || (Array.isArray(one) && one.some(isRow)));
  const plain = entries.filter(([key]) => !nested.some(([other]) => other === key));
  return h("div", {},
    plain.length > 0 && table(["", ""], plain.map(([key, one]) => [name(key), cell(one)])),
    ...nested.flatMap(([key, one]) => [h("h3", {}, name(key)), anyTable(one)]));
}
