/** Squares of the mining map that touch no warning: a layer of the map, and a verdict on each. */
import type { GeoJSONSource, Map as GlMap } from "maplibre-gl";
import { api, problem } from "./api";
import { button, field, h, select, toast } from "./dom";
import { day, percent, t, tc } from "./i18n";
import type { Candidate, Config } from "./types";

const NAME = "candidates";
export const CANDIDATE_LAYER = "candidate-fill";
const address = () => `${location.origin}/api/candidates?limit=10000`;

export function toggleCandidates(map: GlMap, on: boolean): void {
  if (on && !map.getSource(NAME)) {
    map.addSource(NAME, { type: "geojson", data: address() });
    // Judged ones fade; the surer the model, the darker.
    const judged = ["!=", ["get", "verdict"], null];
    map.addLayer({
      id: CANDIDATE_LAYER, type: "fill", source: NAME,
      paint: { "fill-color": "#7c2d12", "fill-opacity": ["case", judged, 0.1, ["*", 0.6, ["get", "probability"]]] as never },
    });
    map.addLayer({
      id: "candidate-line", type: "line", source: NAME,
      paint: { "line-color": "#7c2d12", "line-width": 2 },
    });
  }
  for (const id of [CANDIDATE_LAYER, "candidate-line"]) {
    if (map.getLayer(id)) map.setLayoutProperty(id, "visibility", on ? "visible" : "none");
  }
}

/** What is known of a candidate; who may, judges it. */
export function candidateDialog(map: GlMap, config: Config, candidate: Candidate): void {
  const mayJudge = config.role === "interpreter" || config.role === "operator";
  const verdict = select(config.verdicts.filter((v) => v !== "automatic").map((v) => [v, tc("verdict", v)] as const),
    candidate.verdict ?? "recent_deforestation", () => undefined);
  const comment = h("textarea", { rows: 2, maxlength: 4000 });
  const dialog = h("dialog", { "aria-label": t("candidate.title") });
  const save = () => api.judgeCandidate(candidate.candidate_id, verdict.value, comment.value.trim()).then(
    () => {
      dialog.close();
      toast(t("queue.saved", { verdict: tc("verdict", verdict.value) }));
      (map.getSource(NAME) as GeoJSONSource | undefined)?.setData(address());
    },
    (error: unknown) => toast(problem(error), "error"),
  );
  const row = (name: string, text: string) => [h("dt", {}, name), h("dd", {}, text)];
  dialog.append(
    h("h2", {}, t("candidate.title"), " ", h("code", {}, candidate.candidate_id.slice(0, 8))),
    h("dl", { class: "facts" },
      ...row(t("candidate.probability"), percent(candidate.probability)),
      ...row(t("candidate.seen"), `${day(candidate.first_seen)} – ${day(candidate.last_seen)}`),
      ...row(t("visit.verdict"), candidate.verdict ? tc("verdict", candidate.verdict) : t("review.none"))),
    h("form", { method: "dialog" },
      mayJudge && field(t("visit.verdict"), verdict),
      mayJudge && field(t("ballot.comment"), comment),
      mayJudge && button(t("candidate.save"), () => void save()),
      button(t("close"), () => dialog.close(), { class: "quiet" })),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
