/** `/w/<id>`: one warning with its evidence, its facts and its votes. */
import { api, problem } from "./api";
import { detailPanel, VoteList } from "./detail";
import { button, field, fill, h, link, select, toast } from "./dom";
import { t, tc } from "./i18n";
import { mayReview, type Context, type View } from "./view";
import { redrawForm } from "./redraw";
import { Workbench } from "./workbench";

export function warningView(context: Context, id: string): View {
  const bench = new Workbench(context.config);
  const panel = h("aside", { class: "panel", "aria-label": t("map.panel") }, h("p", { class: "muted" }, t("loading")));
  const back = `/${location.search}`;
  bench.open(id).then(
    (warning) => {
      if (!warning) return;
      const votes = new VoteList();
      fill(panel, detailPanel(warning, back));
      if (context.session.role) {
        panel.append(votes.node);
        void votes.show(id);
      }
      if (context.session.role === "operator") panel.append(redrawForm(bench, id, () => void context.reload()));
      if (mayReview(context.session)) panel.append(visitForm(context, id, () => void votes.show(id)));
    },
    (error: unknown) => fill(panel, link(back, t("detail.back"), { class: "back" }), h("p", { class: "error", role: "alert" }, problem(error))),
  );
  return {
    node: h("div", { class: "split split-evidence" }, panel, bench.node),
    title: `${t("detail.title")} ${id.slice(0, 8)}`,
    destroy: () => bench.destroy(),
  };
}

/** A verdict from the place itself; it outranks those of the desk. */
function visitForm(context: Context, id: string, done: () => void): HTMLElement {
  const form = h("form", { class: "visit" });
  const send = button(t("visit.send"), () => form.requestSubmit());
  form.append(
    field(t("visit.verdict"), select(
      context.config.verdicts.filter((v) => v !== "automatic").map((v) => [v, tc("verdict", v)] as const),
      "recent_deforestation", () => undefined, { name: "verdict" })),
    h("div", { class: "row2" },
      field(t("visit.day"), h("input", { type: "date", name: "visited_on", required: true })),
      field(t("visit.method"), select(
        [["visited", tc("visit", "visited")], ["overflown", tc("visit", "overflown")]],
        "visited", () => undefined, { name: "method" }))),
    field(t("visit.finding"), h("textarea", { name: "finding", rows: 2 })),
    field(t("visit.photo"), h("input", { type: "file", name: "photo", accept: "image/jpeg,image/png" })),
    send,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const data = new FormData(form);
    const photo = data.get("photo");
    if (photo instanceof File && photo.size === 0) data.delete("photo");
    send.disabled = true;
    api.visit(id, data).then(
      () => {
        form.reset();
        toast(t("visit.saved"));
        done();
      },
      (error: unknown) => toast(problem(error), "error"),
    ).finally(() => { send.disabled = false; });
  });
  return h("details", { class: "visit-box" }, h("summary", {}, t("visit.title")), form);
}
