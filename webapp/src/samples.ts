/** Forms beside the queue: draw a day's sample (operators), bring field verdicts as a file. */
import { api, problem } from "./api";
import { button, field, fill, h, select, toast } from "./dom";
import { t } from "./i18n";
import type { SampleDay } from "./types";
import type { Context } from "./view";

const PLANS = ["deter_r", "deter_rt", "stratified"];

export function sampleForms(context: Context, changed: () => void): HTMLElement {
  return h("div", { class: "queue-extra" },
    context.session.role === "operator" && drawForm(context, changed),
    uploadForm(changed));
}

function drawForm(context: Context, changed: () => void): HTMLElement {
  const form = h("form", {});
  const days = h("div", {});
  form.append(
    h("div", { class: "row2" },
      field(t("sample.day"), h("input", { type: "date", name: "day", required: true, value: context.config.days.last?.slice(0, 10) })),
      field(t("sample.plan"), select(PLANS.map((plan) => [plan, plan] as const), PLANS[0] as string, () => undefined, { name: "plan" }))),
    button(t("sample.draw"), () => form.requestSubmit()),
    days,
  );
  const list = () => api.samples().then((found) => fill(days, sampleList(Array.isArray(found) ? found : found.items)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const data = new FormData(form);
    api.draw({ day: data.get("day"), plan: data.get("plan") }).then(
      async (drawn) => {
        toast(t("sample.drawn", { n: String(drawn["drawn"] ?? "?"), population: String(drawn["population"] ?? "?") }));
        changed();
        await list();
      },
    ).catch((error: unknown) => toast(problem(error), "error"));
  });
  const box = h("details", {}, h("summary", {}, t("sample.title")), form);
  box.addEventListener("toggle", () => {
    if (box.open) list().catch((error: unknown) => toast(problem(error), "error"));
  });
  return box;
}

function sampleList(days: SampleDay[]): HTMLElement {
  return h("ul", { class: "plain" }, ...days.map((one) => h("li", {},
    [one.day, one.plan, `${one.done ?? "?"}/${one.total ?? one.drawn ?? "?"}`].filter(Boolean).join(" · "))));
}

function uploadForm(changed: () => void): HTMLElement {
  const form = h("form", {});
  const answer = h("div", { role: "status" });
  form.append(
    field(t("upload.file"), h("input", { type: "file", name: "file", accept: ".gpx,.csv", required: true })),
    button(t("upload.send"), () => form.requestSubmit()),
    answer,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    api.visits(new FormData(form)).then(
      (result) => {
        fill(answer, h("p", {}, t("upload.accepted", { n: result.accepted })),
          result.refused.length > 0 && h("ul", {}, ...result.refused.map((one) => h("li", {}, `${one.row}: ${one.why}`))));
        changed();
      },
      (error: unknown) => toast(problem(error), "error"),
    );
  });
  return h("details", {}, h("summary", {}, t("upload.title")), form);
}
