/** What is known of one warning: facts, overlaps, history, verdict, votes. */
import { api, problem } from "./api";
import { button, fill, h, link, toast } from "./dom";
import { day, language, number, percent, t, tc } from "./i18n";
import type { Vote, WarningDetail } from "./types";

type Fact = [string, string | null];

export function chip(status: string): HTMLElement {
  return h("span", { class: `chip chip-${status}` }, tc("status", status));
}

function facts(w: WarningDetail): Fact[] {
  const metres = w.distance_to_deforestation_m;
  const closed = w.closed_reason ? tc("closed", w.closed_reason) : null;
  return [
    [t("field.area"), `${number(w.area_ha)} ha`],
    [t("field.class"), tc("intensity", w.intensity_class)],
    [t("field.confidence"), percent(w.confidence)],
    [t("field.first_flag"), day(w.first_flag_date)],
    [t("field.issued"), day(w.issued_at)],
    [t("field.confirmed"), day(w.confirmed_at)],
    [t("field.delay"), w.delay_from_flag_days === null ? null : t("unit.days", { n: w.delay_from_flag_days })],
    [t("field.closed"), closed],
    [t("field.growth"), w.growth_30d_ha === null ? null : `${number(w.growth_30d_ha)} ha`],
    [t("field.excess"), w.excess_db === null ? null : `${number(w.excess_db)} dB`],
    [t("field.n_alerts"), number(w.n_alerts)],
    [t("field.distance"), metres === null ? null : `${number(metres, 0)} m`],
    [t("field.mining"), w.mining_score === null ? null : percent(w.mining_score)],
    [t("field.priority"), w.priority === null ? null : number(w.priority, 0)],
    [t("field.municipality"), [w.municipality, w.uf].filter(Boolean).join(" / ") || null],
    [t("field.protected_area"), w.protected_area],
    [t("field.indigenous_territory"), w.indigenous_territory],
    [t("field.orbit"), w.relative_orbit === null ? null : `${w.relative_orbit} · ${w.platform ?? ""}`],
    ...Object.entries(w.overlays ?? {}).map(([name, value]): Fact => [
      name.replaceAll("_", " "),
      typeof value === "number" ? `${number(value, 0)} m` : value,
    ]),
  ];
}

export function factList(w: WarningDetail): HTMLElement {
  const rows = facts(w).filter(([, value]) => value !== null && value !== "" && value !== "–");
  return h("dl", { class: "facts" }, ...rows.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function centre(w: WarningDetail): string {
  const [west, south, east, north] = w.bbox;
  return `${((south + north) / 2).toFixed(5)}, ${((west + east) / 2).toFixed(5)}`;
}

/** The panel of `/w/<id>`. */
export function detailPanel(w: WarningDetail, back: string): HTMLElement {
  const address = `${location.origin}/w/${encodeURIComponent(w.warning_id)}`;
  const copy = (text: string) => {
    navigator.clipboard.writeText(text).then(
      () => toast(t("detail.copied")),
      () => toast(text),
    );
  };
  return h("div", { class: "detail" },
    link(back, t("detail.back"), { class: "back" }),
    h("h1", {}, t("detail.title"), " ", h("code", {}, w.warning_id.slice(0, 8))),
    h("p", { class: "chips" }, chip(w.status),
      h("span", { class: "chip" }, tc("intensity", w.intensity_class)),
      w.edited && h("span", { class: "chip" }, t("detail.edited"))),
    h("p", { class: "coords" }, centre(w), " ",
      button(t("detail.copy_coords"), () => copy(centre(w)), { class: "quiet small" }), " ",
      // Phones open it in the map program that their owner uses.
      h("a", { class: "button small quiet in-field", href: `geo:${centre(w).replace(" ", "")}` }, t("detail.navigate"))),
    h("div", { class: "actions" },
      h("a", {
        class: "button",
        href: `/w/${encodeURIComponent(w.warning_id)}/dossier?lang=${language()}`,
        target: "_blank",
        rel: "noopener",
      }, t("detail.dossier")),
      button(t("detail.copy_link"), () => copy(address), { class: "quiet" })),
    reviewLine(w),
    factList(w),
    history(w),
    neighbours(w));
}

function reviewLine(w: WarningDetail): HTMLElement | null {
  const review = w.review;
  const verdict = review?.verdict ?? w.verdict;
  if (!verdict) return h("p", { class: "review muted" }, t("review.none"));
  return h("p", { class: "review" }, h("strong", {}, tc("verdict", verdict)), " · ",
    tc("source", review?.source ?? w.verdict_source),
    review ? ` · ${tc("state", review.state)}` : "",
    review?.category ? ` · ${tc("category", review.category)}` : "");
}

function history(w: WarningDetail): HTMLElement | null {
  const rows = w.history ?? [];
  if (rows.length < 2) return null;
  return h("details", {}, h("summary", {}, t("detail.history")),
    h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("field.day")), h("th", { scope: "col" }, "ha"))),
      h("tbody", {}, ...rows.map(([when, ha]) => h("tr", {}, h("td", {}, isoDay(when)), h("td", {}, number(ha)))))));
}

/** The history counts days since 2020-01-01 in the store; the server may write them out. */
function isoDay(when: string | number): string {
  return typeof when === "number"
    ? new Date(Date.UTC(2020, 0, 1 + when)).toISOString().slice(0, 10)
    : day(when);
}

function neighbours(w: WarningDetail): HTMLElement | null {
  if (w.neighbours.length === 0) return null;
  return h("p", { class: "neighbours" }, t("detail.neighbours"), " ",
    ...w.neighbours.slice(0, 8).map((id) => link(`/w/${encodeURIComponent(id)}`, id.slice(0, 8))));
}

/** Votes as the server lets this person see them. */
export class VoteList {
  readonly node = h("section", { class: "votes", "aria-label": t("votes.title") });

  async show(warning: string): Promise<void> {
    try {
      const { votes, blind } = await api.votes(warning);
      this.draw(votes, blind);
    } catch (error) {
      fill(this.node, h("p", { class: "muted" }, problem(error)));
    }
  }

  draw(votes: Vote[], blind: boolean): void {
    fill(this.node, h("h2", {}, t("votes.title")),
      blind && h("p", { class: "note" }, t("votes.blind")),
      votes.length === 0 && h("p", { class: "muted" }, t("votes.none")),
      h("ol", {}, ...votes.map((vote) => h("li", vote.standing ? {} : { class: "gone" },
        h("strong", {}, tc("verdict", vote.verdict)),
        ` · ${vote.interpreter ?? t("votes.somebody")} · ${day(vote.voted_at)} · ${tc("source", vote.source)}`,
        vote.kind !== "vote" && ` · ${tc("kind", vote.kind)}`,
        vote.reason && ` · ${tc("reason", vote.reason)}`,
        vote.field?.visited_on && ` · ${tc("visit", vote.field.method)} ${day(vote.field.visited_on)}`,
        vote.field?.photo && " · ",
        vote.field?.photo && h("a", { class: "photo", href: `/api/photos/${encodeURIComponent(String(vote.vote_id))}` }, t("votes.photo")),
        vote.comment && vote.comment !== vote.reason && h("p", { class: "comment" }, vote.comment)))));
  }
}
