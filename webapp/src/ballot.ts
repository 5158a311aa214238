/** The verdict form of the queue: ten classes, rejection with a reason, "cannot tell". */
import { button, field, fill, h, select } from "./dom";
import { t, tc } from "./i18n";
import type { Ballot, Config } from "./types";

/** Keys of the ten classes, in the order of `config.verdicts` (docs/web.md). */
export const CLASS_KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "0"];
const SURENESS: readonly (readonly [string, string])[] = [["", "unstated"], ["1", "sure"], ["0.75", "probable"], ["0.5", "doubtful"]];
const CANNOT_TELL = "cannot_tell";
const DEFAULT_REJECTION = "false_positive";

/** Keys with their classes, but for the one that the optical layer alone gives. */
export function keyedClasses(config: Config): [string, string][] {
  return config.verdicts.slice(0, CLASS_KEYS.length)
    .map((verdict, i): [string, string] => [CLASS_KEYS[i] as string, verdict])
    .filter(([, verdict]) => verdict !== "automatic");
}

export class BallotForm {
  readonly node = h("section", { class: "ballot", "aria-label": t("ballot.title") });
  readonly comment = h("textarea", { rows: 2, maxlength: 2000, "aria-keyshortcuts": "c" });
  private sureness = "";
  private readonly dialog = h("dialog", { class: "reasons" });

  constructor(
    private readonly config: Config,
    private readonly cast: (ballot: Ballot) => void,
  ) {
    const classes = keyedClasses(config).map(([key, verdict]) =>
      this.keyed(key, tc("verdict", verdict), () => this.choose(verdict), `v-${verdict}`));
    this.node.append(
      h("div", { class: "classes" }, ...classes),
      h("div", { class: "row2" },
        this.keyed("R", t("ballot.reject"), () => this.reject(), "danger"),
        this.keyed("U", t("ballot.unsure"), () => this.unsure(), "quiet")),
      field(`${t("ballot.comment")} (C)`, this.comment),
      field(t("ballot.sureness"), select(
        SURENESS.map(([value, name]) => [value, tc("sureness", name)] as const), "",
        (value) => { this.sureness = value; })),
      this.dialog,
    );
  }

  private keyed(key: string, label: string, act: () => void, kind: string): HTMLButtonElement {
    return h("button", { type: "button", class: `keyed ${kind}`, "aria-keyshortcuts": key.toLowerCase() || null, on: { click: act } },
      key !== "" && h("kbd", {}, key), h("span", {}, label));
  }

  /** A verdict by class; a rejecting one asks for its reason first. */
  choose(verdict: string): void {
    if (this.config.rejecting.includes(verdict)) this.ask(verdict);
    else this.send({ verdict });
  }

  reject(): void {
    const { rejecting } = this.config;
    this.ask(rejecting.includes(DEFAULT_REJECTION) ? DEFAULT_REJECTION : (rejecting[0] ?? DEFAULT_REJECTION));
  }

  unsure(): void {
    this.send({ verdict: "no_reference", reason: CANNOT_TELL });
  }

  get asking(): boolean {
    return this.dialog.open;
  }

  /** A digit while the reasons are asked for. */
  answer(key: string): void {
    this.dialog.querySelector<HTMLButtonElement>(`[data-key="${CSS.escape(key)}"]`)?.click();
  }

  private ask(verdict: string): void {
    let chosen = verdict;
    // Who cannot tell does not reject: that is U.
    const reasons = this.config.reasons.filter((reason) => reason !== CANNOT_TELL);
    fill(this.dialog,
      h("h2", {}, t("ballot.reject_why")),
      field(t("ballot.reject_as"), select(
        this.config.rejecting.map((code) => [code, tc("verdict", code)] as const), verdict,
        (value) => { chosen = value; })),
      h("div", { class: "classes" }, ...reasons.map((reason, i) => {
        const key = CLASS_KEYS[i] ?? "";
        const node = this.keyed(key, tc("reason", reason), () => {
          this.dialog.close();
          this.send({ verdict: chosen, reason });
        }, "");
        if (key) node.dataset["key"] = key;
        return node;
      })),
      button(t("cancel"), () => this.dialog.close(), { class: "quiet" }));
    this.dialog.showModal();
    this.dialog.querySelector<HTMLButtonElement>("[data-key]")?.focus();
  }

  private send(ballot: Ballot): void {
    const comment = this.comment.value.trim();
    if (comment) ballot.comment = comment;
    if (this.sureness) ballot.confidence = Number(this.sureness);
    this.cast(ballot);
  }

  clear(): void {
    this.comment.value = "";
    this.comment.blur();
  }
}
