/** `/queue`: an interpreter's day by keyboard; for operators also disputes and samples. */
import { api, problem } from "./api";
import { BallotForm, CLASS_KEYS, keyedClasses } from "./ballot";
import { factList, VoteList } from "./detail";
import { button, fill, h, toast } from "./dom";
import { number, t, tc } from "./i18n";
import { sampleForms } from "./samples";
import type { Ballot, Dispute, QueueItem, Vote } from "./types";
import type { Context, View } from "./view";
import { Workbench } from "./workbench";

type Tab = "mine" | "disputes";
interface Entry {
  id: string;
  label: string;
  done: boolean;
  blind: boolean;
  vote: Vote | null;
}

class QueueView implements View {
  readonly node: HTMLElement;
  readonly title = t("nav.queue");
  private readonly bench: Workbench;
  private readonly ballot: BallotForm;
  private readonly votes = new VoteList();
  private readonly progress = h("div", { class: "progress-line", role: "status" });
  private readonly list = h("ol", { class: "queue-list", tabindex: 0 });
  private readonly facts = h("div", { class: "queue-facts" });
  private readonly help = h("dialog", { class: "help" });
  private readonly tabs = h("div", { class: "segments", role: "group" });
  private entries: Entry[] = [];
  private at = 0;
  private tab: Tab = "mine";
  private since = performance.now();
  private median: number | null = null;
  private busy = false;
  /** The warning whose evidence is on the screen: nothing else may be voted on. */
  private seen: string | null = null;
  /** Votes of this sitting, newest last: what Ctrl+Z takes back. */
  private readonly cast: { id: string; vote: Vote }[] = [];
  private readonly keys = (event: KeyboardEvent) => this.key(event);

  constructor(private readonly context: Context) {
    this.bench = new Workbench(context.config);
    this.ballot = new BallotForm(context.config, (ballot) => void this.vote(ballot));
    const operator = context.session.role === "operator";
    this.node = h("div", { class: "split split-evidence split-queue" },
      h("aside", { class: "panel", "aria-label": t("queue.panel") },
        h("h1", { class: "visually-hidden" }, t("nav.queue")),
        operator && this.tabs,
        this.progress,
        h("div", { class: "row3" },
          button(`${t("queue.previous")} (P)`, () => this.step(-1), { class: "quiet" }),
          button(`${t("queue.next")} (N)`, () => this.step(1), { class: "quiet" }),
          button(`${t("queue.undo")} (Ctrl+Z)`, () => void this.undo(), { class: "quiet" }),
          button("?", () => this.showHelp(), { class: "quiet", "aria-label": t("help.title") })),
        this.facts, this.ballot.node, this.votes.node,
        h("details", { open: true }, h("summary", {}, t("queue.list")), this.list),
        sampleForms(context, () => void this.load())),
      this.bench.node, this.help);
    this.drawTabs();
    document.addEventListener("keydown", this.keys);
    void this.load();
  }

  private drawTabs(): void {
    const tab = (name: Tab) => button(t(`queue.${name}`), () => {
      this.tab = name;
      this.drawTabs();
      void this.load();
    }, { "aria-pressed": String(this.tab === name) });
    fill(this.tabs, tab("mine"), tab("disputes"));
  }

  private async load(): Promise<void> {
    try {
      if (this.tab === "mine") {
        const queue = await api.queue();
        this.median = queue.streak_seconds_median;
        this.entries = queue.items.map(ofQueue);
      } else {
        const found = await api.disputes();
        this.median = null;
        this.entries = (Array.isArray(found) ? found : found.items).map(ofDispute);
      }
      const open = this.entries.findIndex((entry) => !entry.done);
      this.at = Math.max(0, open);
      await this.open();
    } catch (error) {
      toast(problem(error), "error");
    }
  }

  private async open(): Promise<void> {
    this.drawProgress();
    const entry = this.entries[this.at];
    if (!entry) {
      fill(this.facts, h("p", { class: "muted" }, t("queue.empty")));
      return;
    }
    this.seen = null;
    fill(this.facts, h("p", { class: "muted" }, t("loading")));
    try {
      const warning = await this.bench.open(entry.id);
      if (!warning) return;
      this.seen = entry.id;
      this.since = performance.now();
      fill(this.facts,
        h("h2", {}, t("detail.title"), " ", h("code", {}, entry.id.slice(0, 8))),
        entry.vote && h("p", { class: "note" }, t("queue.voted", { verdict: tc("verdict", entry.vote.verdict) })),
        h("details", {}, h("summary", {}, `${number(warning.area_ha)} ha · ${tc("intensity", warning.intensity_class)} · ${tc("status", warning.status)}`),
          factList(warning)));
      await this.votes.show(entry.id);
    } catch (error) {
      toast(problem(error), "error");
    }
  }

  private drawProgress(): void {
    const done = this.entries.filter((entry) => entry.done).length;
    const total = this.entries.length;
    fill(this.progress,
      h("progress", { max: Math.max(1, total), value: done, "aria-label": t("queue.progress") }),
      h("span", {}, t("queue.count", { done, total })),
      this.median !== null && h("span", { class: "muted" }, t("queue.median", { n: number(this.median, 0) })));
    fill(this.list, ...this.entries.map((entry, i) => h("li", {}, button(
      `${entry.done ? "✓" : "○"} ${entry.label}`,
      () => { this.at = i; void this.open(); },
      { class: i === this.at ? "current" : "", "aria-current": i === this.at ? "true" : null }))));
    const current = this.list.querySelector<HTMLElement>(".current");
    // Only the list scrolls: the verdict buttons stay where the hand is.
    if (current) this.list.scrollTop = current.offsetTop - this.list.offsetTop - this.list.clientHeight / 2;
  }

  private step(by: number): void {
    const next = this.at + by;
    if (next < 0 || next >= this.entries.length) return;
    this.at = next;
    void this.open();
  }

  private async vote(ballot: Ballot): Promise<void> {
    const entry = this.entries[this.at];
    if (!entry || this.busy) return;
    if (this.seen !== entry.id) {
      toast(t("queue.wait"));
      return;
    }
    this.busy = true;
    const { shown, mode } = this.bench.compare;
    ballot.seconds_spent = Math.round((performance.now() - this.since) / 100) / 10;
    ballot.context = { ...shown, mode };
    if (this.tab === "disputes") ballot.kind = "adjudication";
    else if (entry.vote) ballot.supersedes = entry.vote.vote_id;
    try {
      const vote = await api.review(entry.id, ballot);
      this.cast.push({ id: entry.id, vote });
      entry.vote = vote;
      entry.done = true;
      this.ballot.clear();
      toast(t("queue.saved", { verdict: tc("verdict", vote.verdict) }));
      this.advance();
    } catch (error) {
      toast(problem(error), "error");
    } finally {
      this.busy = false;
    }
  }

  /** To the next that is open, after this one or from the start. */
  private advance(): void {
    const later = this.entries.findIndex((entry, i) => i > this.at && !entry.done);
    const any = later >= 0 ? later : this.entries.findIndex((entry) => !entry.done);
    if (any >= 0) {
      this.at = any;
      void this.open();
      return;
    }
    this.drawProgress();
    const entry = this.entries[this.at];
    if (entry) void this.votes.show(entry.id);
    toast(t("queue.finished"));
  }

  private async undo(): Promise<void> {
    const last = this.cast.at(-1);
    if (!last || this.busy) {
      toast(t("queue.nothing"));
      return;
    }
    this.busy = true;
    try {
      await api.undo(last.vote.vote_id);
      this.cast.pop();
      const i = this.entries.findIndex((entry) => entry.id === last.id);
      const entry = this.entries[i];
      if (entry) {
        entry.vote = null;
        entry.done = false;
        this.at = i;
      }
      toast(t("queue.undone"));
      // Not awaited: a vote on what is already in sight would be dropped meanwhile.
      void this.open();
    } catch (error) {
      toast(problem(error), "error");
    } finally {
      this.busy = false;
    }
  }

  private showHelp(): void {
    const rows: [string, string][] = [
      ...keyedClasses(this.context.config).map(([key, verdict]): [string, string] => [key, tc("verdict", verdict)]),
      ["R", t("ballot.reject")], ["U", t("ballot.unsure")], ["N / P", `${t("queue.next")} / ${t("queue.previous")}`],
      ["B", t("compare.blink")], ["S", t("compare.swipe")], ["Z", t("compare.zoom")],
      ["C", t("ballot.comment")], ["Ctrl+Z", t("queue.undo")], ["?", t("help.title")],
    ];
    fill(this.help, h("h2", {}, t("help.title")),
      h("table", {}, h("tbody", {}, ...rows.map(([key, text]) => h("tr", {}, h("th", { scope: "row" }, h("kbd", {}, key)), h("td", {}, text))))),
      button(t("close"), () => this.help.close()));
    this.help.showModal();
  }

  private key(event: KeyboardEvent): void {
    const target = event.target as HTMLElement;
    if (target.closest("textarea, input, select")) {
      if (event.key === "Escape") target.blur();
      return;
    }
    if (this.help.open) return;
    if (this.ballot.asking) {
      if (CLASS_KEYS.includes(event.key)) this.ballot.answer(event.key);
      return;
    }
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
      event.preventDefault();
      void this.undo();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.act(event.key)) event.preventDefault();
  }

  private act(key: string): boolean {
    const chosen = keyedClasses(this.context.config).find(([known]) => known === key);
    if (chosen) {
      this.ballot.choose(chosen[1]);
      return true;
    }
    const acts: Record<string, () => void> = {
      r: () => this.ballot.reject(),
      u: () => this.ballot.unsure(),
      n: () => this.step(1),
      p: () => this.step(-1),
      b: () => this.bench.compare.toggle("blink"),
      s: () => this.bench.compare.toggle("swipe"),
      z: () => this.bench.compare.zoom(),
      c: () => this.ballot.comment.focus(),
      "?": () => this.showHelp(),
    };
    const act = acts[key.toLowerCase()];
    act?.();
    return act !== undefined;
  }

  destroy(): void {
    document.removeEventListener("keydown", this.keys);
    this.bench.destroy();
  }
}

function ofQueue(item: QueueItem): Entry {
  const parts = [item.warning_id.slice(0, 8), `${number(item.area_ha)} ha`, item.day, item.blind && t("queue.blind")];
  return {
    id: item.warning_id,
    label: parts.filter(Boolean).join(" · "),
    done: item.state === "done",
    blind: item.blind,
    vote: item.my_vote,
  };
}

function ofDispute(dispute: Dispute): Entry {
  const verdicts = dispute.votes.filter((vote) => vote.standing).map((vote) => tc("verdict", vote.verdict));
  return {
    id: dispute.warning_id,
    label: `${dispute.warning_id.slice(0, 8)} · ${verdicts.join(" / ")}`,
    done: false,
    blind: false,
    vote: null,
  };
}

export function queueView(context: Context): View {
  return new QueueView(context);
}
