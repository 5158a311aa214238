/** Evidence for one warning: before/after maps over the time series of a pixel. */
import { aborted, api, problem } from "./api";
import { Compare } from "./compare";
import { h, toast } from "./dom";
import { SeriesPanel, type Place } from "./series";
import type { Config, Evidence, WarningDetail } from "./types";

export class Workbench {
  readonly node: HTMLElement;
  readonly compare: Compare;
  private readonly series = new SeriesPanel();
  /** Takes the clicks while a polygon is being drawn; else they ask for a series. */
  drawing: ((lon: number, lat: number) => void) | null = null;
  /** Of which day, orbit and first flag the warning's series are. */
  private seen: Pick<Place, "orbit" | "on" | "flagged"> = {};
  private request: AbortController | null = null;

  constructor(private readonly config: Config) {
    this.compare = new Compare(config, (lon, lat) => {
      if (this.drawing) this.drawing(lon, lat);
      else this.explain(lon, lat);
    });
    this.node = h("div", { class: "workbench" }, this.compare.node, this.series.node);
  }

  /** Show a warning's evidence; resolves to the warning, or null where another was asked for meanwhile. */
  async open(id: string): Promise<WarningDetail | null> {
    this.request?.abort();
    const request = new AbortController();
    this.request = request;
    try {
      const [warning, evidence] = await Promise.all([
        api.warning(id, request.signal),
        api.evidence(id, request.signal).catch((error: unknown): Evidence | null => {
          // Without pictures the warning can still be read.
          if (!aborted(error)) toast(problem(error), "error");
          return null;
        }),
      ]);
      if (request.signal.aborted) return null;
      this.seen = {
        orbit: evidence?.orbit ?? warning.relative_orbit,
        on: evidence?.on ?? null,
        flagged: warning.first_flag_date,
      };
      void this.compare.show(warning, evidence).then(() => this.optical(id, request.signal));
      if (evidence) this.explain(evidence.point.lon, evidence.point.lat);
      return warning;
    } catch (error) {
      if (aborted(error)) return null;
      throw error;
    }
  }

  private explain(lon: number, lat: number): void {
    void this.series.show({ lon, lat, ...this.seen });
    void this.compare.mark(lon, lat);
  }

  /** Optical images come from another server: they are offered when they are there. */
  private async optical(id: string, signal: AbortSignal): Promise<void> {
    if (!this.config.optical_images || signal.aborted) return;
    try {
      this.compare.offer(id, await api.opticalImages(id, signal));
    } catch (error) {
      if (!aborted(error)) toast(problem(error), "error");
    }
  }

  destroy(): void {
    this.request?.abort();
    this.compare.destroy();
    this.series.destroy();
  }
}
