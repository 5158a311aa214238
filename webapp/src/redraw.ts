/** An operator draws a warning's polygon anew; the server keeps the original and every edit. */
import type { Position } from "geojson";
import { api, problem } from "./api";
import { button, field, fill, h, toast } from "./dom";
import { t } from "./i18n";
import type { Workbench } from "./workbench";

const FEWEST_CORNERS = 3;

export function redrawForm(bench: Workbench, id: string, saved: () => void): HTMLElement {
  const corners: Position[] = [];
  const count = h("p", { role: "status" });
  const reason = h("textarea", { rows: 2, maxlength: 4000, required: true });
  const form = h("form", {});
  const save = h("button", { type: "submit", disabled: true }, t("edit.save"));
  const draw = () => {
    const first = corners[0];
    bench.compare.sketch(first ? [...corners, first] : []);
    fill(count, t("edit.count", { n: corners.length }));
    save.disabled = corners.length < FEWEST_CORNERS;
  };
  const take = (lon: number, lat: number) => {
    corners.push([Number(lon.toFixed(6)), Number(lat.toFixed(6))]);
    draw();
  };
  form.append(
    h("p", { class: "muted" }, t("edit.hint")),
    count,
    button(t("edit.back"), () => {
      corners.pop();
      draw();
    }, { class: "quiet" }),
    field(t("edit.reason"), reason),
    save,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const ring = [...corners, corners[0] as Position];
    api.redraw(id, { type: "Polygon", coordinates: [ring] }, reason.value.trim()).then(
      () => {
        toast(t("edit.saved"));
        saved();
      },
      (error: unknown) => toast(problem(error), "error"),
    );
  });
  const box = h("details", { class: "visit-box" }, h("summary", {}, t("edit.title")), form);
  box.addEventListener("toggle", () => {
    bench.drawing = box.open ? take : null;
    if (!box.open) bench.compare.sketch([]);
    else draw();
  });
  return box;
}
