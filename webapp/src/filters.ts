/** The filter panel; its state is the query of the address, so that a view can be sent on. */
import { button, debounce, field, h, select } from "./dom";
import { t, tc } from "./i18n";
import type { Config } from "./types";

const STATUSES = ["preliminary", "confirmed", "closed"];
const REPEATED = ["status", "verdict"];
const SINGLE = ["since", "until", "intensity_class", "territory", "mining", "min_area_ha", "sort"];
const SORTS = ["-issued_at", "priority", "-area_ha", "-mining_score"];
const SPANS = [7, 30, 365];

/** Of a query, what is a filter, and nothing else. */
export function filtersOf(query: URLSearchParams): URLSearchParams {
  const kept = new URLSearchParams();
  for (const name of REPEATED) for (const value of query.getAll(name)) kept.append(name, value);
  for (const name of SINGLE) {
    const value = query.get(name);
    if (value) kept.set(name, value);
  }
  return kept;
}

/** The day `days` before `until` (ISO). */
function back(until: string, days: number): string {
  const date = new Date(`${until.slice(0, 10)}T00:00:00Z`);
  date.setUTCDate(date.getUTCDate() - days);
  return date.toISOString().slice(0, 10);
}

export class Filters {
  readonly node: HTMLFormElement;

  constructor(
    private readonly config: Config,
    initial: URLSearchParams,
    private readonly changed: (query: URLSearchParams) => void,
  ) {
    this.node = h("form", { class: "filters", "aria-label": t("filter.title") });
    this.build(initial);
    this.node.addEventListener("submit", (event) => event.preventDefault());
    const tell = debounce(() => this.changed(this.query()), 300);
    this.node.addEventListener("input", tell);
  }

  query(): URLSearchParams {
    const query = new URLSearchParams();
    for (const [name, value] of new FormData(this.node)) {
      if (typeof value === "string" && value !== "" && value !== "0") query.append(name, value);
    }
    // The server's own default need not stand in the address.
    if (query.get("sort") === SORTS[0]) query.delete("sort");
    return query;
  }

  private build(query: URLSearchParams): void {
    const value = (name: string) => query.get(name) ?? "";
    const input = (name: string, type: string, more: Record<string, string | number> = {}) =>
      h("input", { name, type, value: value(name), ...more });
    this.node.replaceChildren(
      h("div", { class: "row2" },
        field(t("filter.since"), input("since", "date")),
        field(t("filter.until"), input("until", "date"))),
      this.spans(),
      this.checks("status", t("filter.status"), STATUSES, "status", query),
      h("div", { class: "row2" },
        field(t("filter.class"), select(
          [["", t("filter.any")], ["high_intensity", tc("intensity", "high_intensity")],
            ["low_intensity", tc("intensity", "low_intensity")]],
          value("intensity_class"), () => undefined, { name: "intensity_class" })),
        field(t("filter.min_area"), input("min_area_ha", "number", { min: 0, step: "any", inputmode: "decimal" }))),
      field(t("filter.territory"), input("territory", "search", { placeholder: t("filter.territory_hint") })),
      this.mining(value("mining")),
      h("details", query.has("verdict") ? { open: true } : {},
        h("summary", {}, t("filter.verdict")),
        this.checks("verdict", t("filter.verdict"), this.config.verdicts, "verdict", query)),
      h("div", { class: "row2 end" },
        field(t("filter.sort"), select(
          SORTS.map((sort) => [sort, tc("sort", sort.replace("-", ""))] as const),
          value("sort") || (SORTS[0] as string), () => undefined, { name: "sort" })),
        button(t("filter.reset"), () => this.reset(), { class: "quiet" })),
    );
  }

  private mining(value: string): HTMLElement {
    const output = h("output", {}, value || "0");
    const range = h("input", { name: "mining", type: "range", min: 0, max: 1, step: 0.05, value: value || "0" });
    range.addEventListener("input", () => { output.textContent = range.value; });
    return h("label", { class: "field" },
      h("span", { class: "field-label" }, t("filter.mining"), " ≥ ", output), range);
  }

  private spans(): HTMLElement {
    const last = this.config.days.last;
    const set = (since: string) => {
      (this.node.elements.namedItem("since") as HTMLInputElement).value = since;
      (this.node.elements.namedItem("until") as HTMLInputElement).value = "";
      this.changed(this.query());
    };
    const group = h("div", { class: "segments", role: "group", "aria-label": t("filter.span") });
    if (last) {
      for (const days of SPANS) group.append(button(t("filter.days", { n: days }), () => set(back(last, days))));
    }
    group.append(button(t("filter.all"), () => set("")));
    return group;
  }

  private checks(name: string, title: string, codes: string[], vocabulary: string, query: URLSearchParams) {
    const chosen = query.getAll(name);
    // Without a choice of status the server leaves closed warnings out: the boxes say so.
    const ticked = (code: string) =>
      chosen.length > 0 ? chosen.includes(code) : name === "status" && code !== "closed";
    return h("fieldset", { class: "checks" }, h("legend", {}, title),
      ...codes.map((code) => h("label", { class: "check" },
        h("input", { type: "checkbox", name, value: code, checked: ticked(code) }),
        h("span", { class: `swatch swatch-${name}-${code}` }), tc(vocabulary, code))));
  }

  private reset(): void {
    this.build(new URLSearchParams());
    this.changed(this.query());
  }
}
