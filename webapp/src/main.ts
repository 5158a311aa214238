/** The frame: header, freshness, language, session, and the view that the address names. */
import "maplibre-gl/dist/maplibre-gl.css";
import "uplot/dist/uPlot.min.css";
import "./main.css";
import { api, problem } from "./api";
import { dashboardView } from "./dashboard";
import { button, fill, h, link, select, toast } from "./dom";
import { day, language, LANGUAGES, setLanguage, startLanguage, t, type Lang } from "./i18n";
import { loginView } from "./loginview";
import { mapView } from "./mapview";
import { queueView } from "./queueview";
import { navigate, route, start } from "./router";
import type { Config, Freshness, Session } from "./types";
import { mayReview, type Context, type View } from "./view";
import { warningView } from "./warningview";

const app = document.getElementById("app") as HTMLElement;
let session: Session = { name: null, role: null, csrf: null, public: true };
let config: Config | null = null;
let shown: View | null = null;

async function read(): Promise<void> {
  session = await api.session();
  config = session.public || session.name ? await api.config() : null;
}

/** What the page brings with it, so that a first view need not ask; somebody logged in asks. */
async function first(): Promise<void> {
  const given = JSON.parse(document.getElementById("start")?.textContent ?? "{}") as { session?: Session; config?: Config };
  if (!given.session) return read();
  session = given.session;
  config = given.config ?? null;
}

const context = (known: Config): Context => ({ config: known, session, reload });

async function reload(): Promise<void> {
  await read();
  draw();
}

function makeView(): View {
  const at = route();
  if (at.view === "login" || !config) return loginView(read);
  switch (at.view) {
    case "warning":
      return warningView(context(config), at.id);
    case "queue":
      return mayReview(session) ? queueView(context(config)) : loginView(read);
    case "dashboard":
      return dashboardView(context(config));
    default:
      return mapView(context(config));
  }
}

function draw(): void {
  shown?.destroy();
  shown = makeView();
  document.title = `${shown.title} · Curupira`;
  const main = h("main", { id: "content", tabindex: -1 }, shown.node);
  fill(app,
    h("a", { class: "skip", href: "#content" }, t("skip")),
    header(),
    config?.freshness.stale ? stale(config.freshness) : null,
    main);
}

function header(): HTMLElement {
  const here = route().view;
  const entry = (href: string, view: string, text: string) =>
    link(href, text, here === view ? { "aria-current": "page" } : {});
  return h("header", { class: "top" },
    link("/", h("span", { class: "brand-name" }, "Curupira"), { class: "brand" }),
    h("nav", { "aria-label": t("nav.title") },
      config && entry("/", "map", t("nav.map")),
      mayReview(session) && entry("/queue", "queue", t("nav.queue")),
      config && entry("/dashboard", "dashboard", t("nav.dashboard"))),
    h("span", { class: "grow" }),
    config && !config.freshness.stale && h("span", { class: "fresh" }, freshText(config.freshness)),
    select(LANGUAGES, language(), (value) => chooseLanguage(value as Lang), { "aria-label": t("nav.language"), class: "language" }),
    session.name
      ? h("span", { class: "who" }, h("span", { class: "who-name" }, session.name), button(t("nav.logout"), () => void leave(), { class: "quiet small" }))
      : link("/login", t("nav.login"), { class: "button small" }));
}

function freshText(freshness: Freshness): string {
  return freshness.last_scene
    ? t("fresh.last", { day: day(freshness.last_scene) })
    : t("fresh.none");
}

function stale(freshness: Freshness): HTMLElement {
  const text = freshness.age_days === null
    ? t("fresh.none")
    : t("fresh.stale", { day: day(freshness.last_scene), n: Math.round(freshness.age_days) });
  return h("p", { class: "stale", role: "status" }, text);
}

function chooseLanguage(lang: Lang): void {
  setLanguage(lang, true);
  const query = new URLSearchParams(location.search);
  if (query.has("lang")) {
    query.set("lang", lang);
    history.replaceState(null, "", `${location.pathname}?${query}`);
  }
  draw();
}

async function leave(): Promise<void> {
  try {
    await api.logout();
    await read();
    navigate("/");
  } catch (error) {
    toast(problem(error), "error");
  }
}

async function begin(): Promise<void> {
  setLanguage(startLanguage(undefined), false);
  try {
    await first();
  } catch (error) {
    fill(app, h("p", { class: "error page", role: "alert" }, problem(error)));
    return;
  }
  setLanguage(startLanguage(config?.language), false);
  start(draw);
}

void begin();
