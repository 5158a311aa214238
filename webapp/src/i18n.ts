/** Words of the page in three languages; the server speaks codes, and English where it refuses. */
import en from "./i18n/en.json";
import es from "./i18n/es.json";
import pt from "./i18n/pt.json";

export type Key = keyof typeof pt;
export type Lang = "pt" | "en" | "es";

// The type makes a key that one language lacks a compile error.
const dictionaries: Record<Lang, Record<Key, string>> = { pt, en, es };
const LOCALES: Record<Lang, string> = { pt: "pt-BR", en: "en-GB", es: "es" };
export const LANGUAGES: readonly (readonly [Lang, string])[] = [
  ["pt", "Português"],
  ["en", "English"],
  ["es", "Español"],
];
const STORED = "curupira.language";

let current: Lang = "en";

function known(code: string | null | undefined): Lang | null {
  const short = (code ?? "").slice(0, 2).toLowerCase();
  return short === "pt" || short === "en" || short === "es" ? short : null;
}

/** `?lang=`, else what was chosen before, else the browser's, else the server's. */
export function startLanguage(server: string | undefined): Lang {
  const asked = new URLSearchParams(location.search).get("lang");
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(STORED);
  } catch {
    // Storage may be refused; the choice then lives as long as the page.
  }
  const browser = navigator.languages.map(known).find((found) => found !== null);
  return known(asked) ?? known(stored) ?? browser ?? known(server) ?? "en";
}

export function setLanguage(lang: Lang, remember: boolean): void {
  current = lang;
  document.documentElement.lang = LOCALES[lang];
  if (!remember) return;
  try {
    localStorage.setItem(STORED, lang);
  } catch {
    // As above.
  }
}

export function language(): Lang {
  return current;
}

/** The text of a key; `{name}` is replaced from `values`. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  return dictionaries[current][key].replace(/\{(\w+)\}/g, (whole, name: string) =>
    name in values ? String(values[name]) : whole,
  );
}

/** The text of a code of a vocabulary (`status.confirmed`); an unknown code reads as itself. */
export function tc(vocabulary: string, code: string | null | undefined): string {
  if (!code) return "–";
  const text = (dictionaries[current] as Record<string, string>)[`${vocabulary}.${code}`];
  return text ?? code.replaceAll("_", " ");
}

/** What the server refuses with, in the reader's language; numbers in it do not matter. */
export function said(what: string): string | undefined {
  return (dictionaries[current] as Record<string, string>)[`error.${what.replace(/\d+/g, "#")}`];
}

export function number(value: number | null | undefined, digits = 1): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  return new Intl.NumberFormat(LOCALES[current], { maximumFractionDigits: digits }).format(value);
}

export function percent(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const format = { style: "percent", maximumFractionDigits: 0 } as const;
  return new Intl.NumberFormat(LOCALES[current], format).format(value);
}

/** Days stay ISO: one spelling for all languages and for the files. */
export function day(text: string | null | undefined): string {
  return text ? text.slice(0, 10) : "–";
}
