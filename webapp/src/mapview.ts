/** `/`: filters and list beside the map; a clicked pixel shows its series. */
import { aborted, api, problem } from "./api";
import { chip } from "./detail";
import { button, field, fill, h, link, select, toast } from "./dom";
import { ExploreMap } from "./explore";
import { Filters, filtersOf } from "./filters";
import { day, number, percent, t, tc } from "./i18n";
import { navigate, remember } from "./router";
import { SeriesPanel } from "./series";
import type { Box, WarningItem } from "./types";
import type { Context, View } from "./view";

const PAGE = 50;
/** The map waits so long for the list to stand beside it: making it takes the processor for a while. */
const LIST_FIRST_MS = 1000;
const FORMATS = ["geojson", "gpkg", "csv", "kml", "gpx", "shp", "parquet"];

class MapView implements View {
  readonly node: HTMLElement;
  readonly title = t("nav.map");
  private readonly explore: ExploreMap;
  private series: SeriesPanel | null = null;
  private readonly list = h("ul", { class: "warnings" });
  private readonly count = h("p", { class: "count", role: "status" });
  private readonly more = h("div", { class: "more" });
  private readonly main: HTMLElement;
  private readonly files = h("div", { class: "files" });
  private query: URLSearchParams;
  private box: Box | null = null;
  private request: AbortController | null = null;
  private listed: () => void = () => undefined;

  constructor(context: Context) {
    const address = new URLSearchParams(location.search);
    this.query = filtersOf(address);
    const filters = new Filters(context.config, this.query, (query) => this.filter(query));
    this.explore = new ExploreMap(context.config, {
      opened: (id) => navigate(this.href(id)),
      clicked: (lon, lat) => this.pixel(lon, lat),
      moved: (box) => this.moved(box),
    }, address.get("view"), new Promise((resolve) => {
      this.listed = resolve;
      window.setTimeout(resolve, LIST_FIRST_MS);
    }));
    this.main = h("div", { class: "map-side" }, this.explore.node);
    const narrow = window.matchMedia("(max-width: 760px)").matches;
    this.node = h("div", { class: "split" },
      h("aside", { class: "panel", "aria-label": t("map.panel") },
        h("h1", { class: "visually-hidden" }, context.config.name || "Curupira"),
        h("details", { class: "filter-box", open: !narrow }, h("summary", {}, t("filter.title")), filters.node),
        this.count, this.list, this.more, this.files),
      this.main);
    void this.explore.filter(this.query);
    // The list need not wait until the map is drawn.
    void this.explore.placed.then(() => {
      this.box = this.explore.box();
      this.refresh();
    });
  }

  private href(id: string): string {
    return `/w/${encodeURIComponent(id)}${location.search}`;
  }

  private filter(query: URLSearchParams): void {
    this.query = query;
    this.address();
    void this.explore.filter(query);
    this.refresh();
  }

  private address(): void {
    const query = new URLSearchParams(this.query);
    const view = this.explore.view();
    if (view) query.set("view", view);
    remember(query);
  }

  private moved(box: Box): void {
    this.box = box;
    this.address();
    this.refresh();
  }

  /** The filter together with what the map shows. */
  private shown(): URLSearchParams {
    const query = new URLSearchParams(this.query);
    if (this.box) query.set("bbox", this.box.map((value) => value.toFixed(4)).join(","));
    return query;
  }

  private refresh(): void {
    this.drawFiles();
    void this.page(0);
  }

  private async page(offset: number): Promise<void> {
    this.request?.abort();
    this.request = new AbortController();
    const query = this.shown();
    query.set("limit", String(PAGE));
    query.set("offset", String(offset));
    try {
      const found = await api.warnings(query, this.request.signal);
      if (offset === 0) this.list.replaceChildren();
      this.list.append(...found.items.map((item) => this.item(item)));
      this.count.textContent = t("map.count", { n: number(found.total, 0) });
      fill(this.more, found.next !== null && button(t("map.more"), () => void this.page(offset + PAGE)));
    } catch (error) {
      if (!aborted(error)) toast(problem(error), "error");
    } finally {
      window.requestAnimationFrame(() => window.setTimeout(this.listed));
    }
  }

  private item(w: WarningItem): HTMLElement {
    const where = [w.municipality, w.uf].filter(Boolean).join(" / ");
    const inside = w.indigenous_territory ?? w.protected_area;
    return h("li", {}, link(this.href(w.warning_id), h("span", { class: "item" },
      h("span", { class: "item-top" }, chip(w.status), h("strong", {}, `${number(w.area_ha)} ha`),
        h("span", { class: "muted" }, day(w.issued_at))),
      h("span", { class: "item-sub" }, [tc("intensity", w.intensity_class), where, inside,
        w.mining_score !== null && w.mining_score >= 0.5 && `${t("field.mining")} ${percent(w.mining_score)}`,
        w.verdict && tc("verdict", w.verdict)].filter(Boolean).join(" · ")))));
  }

  private drawFiles(): void {
    const query = this.shown();
    query.delete("sort");
    let format = FORMATS[0] as string;
    const save = h("a", { class: "button", download: true }, t("files.download"));
    const aim = () => save.setAttribute("href", `/api/export?format=${format}&${query}`);
    aim();
    const chooser = select(FORMATS.map((name) => [name, name] as const), format, (value) => {
      format = value;
      aim();
    });
    // A subscription to an area: the filter, where the map looks now.
    const feed = this.shown();
    feed.delete("sort");
    fill(this.files, h("h2", {}, t("files.title")),
      h("div", { class: "row2 end" }, field(t("files.format"), chooser), save),
      h("p", { class: "muted" }, t("files.feed_hint"), " ",
        h("a", { href: `/api/feed.atom?${feed}` }, t("files.feed"))));
  }

  private pixel(lon: number, lat: number): void {
    if (!this.series) {
      this.series = new SeriesPanel();
      const close = button("×", () => this.closeSeries(), { class: "close", "aria-label": t("close") });
      this.main.append(h("div", { class: "drawer" }, close, this.series.node));
    }
    void this.series.show({ lon, lat });
  }

  private closeSeries(): void {
    this.series?.destroy();
    this.series = null;
    this.main.querySelector(".drawer")?.remove();
  }

  destroy(): void {
    this.request?.abort();
    this.explore.destroy();
    this.series?.destroy();
  }
}

export function mapView(context: Context): View {
  return new MapView(context);
}
