/** How dark and bright radar pictures are drawn: levels of VH in dB, the same for all maps. */
import { button, h } from "./dom";
import { t } from "./i18n";
import type { Config } from "./types";

let chosen: [number, number] | null = null;

/** What tiles are asked with: nothing where the usual levels hold. */
export function stretchQuery(): string {
  return chosen ? `dark=${chosen[0]}&bright=${chosen[1]}` : "";
}

/** Two numbers and a way back; `changed` draws the pictures anew. */
export function stretchControl(config: Config, changed: () => void): HTMLElement {
  const [low, high] = config.stretch_db;
  const level = (value: number, name: string) =>
    h("input", { type: "number", step: 0.5, min: -60, max: 20, value, "aria-label": name });
  const dark = level(chosen?.[0] ?? low, t("stretch.dark"));
  const bright = level(chosen?.[1] ?? high, t("stretch.bright"));
  const take = () => {
    const pair: [number, number] = [dark.valueAsNumber, bright.valueAsNumber];
    const usable = pair.every(Number.isFinite) && pair[0] < pair[1];
    bright.setCustomValidity(usable ? "" : t("stretch.order"));
    if (!usable) return void bright.reportValidity();
    chosen = pair[0] === low && pair[1] === high ? null : pair;
    changed();
  };
  for (const input of [dark, bright]) input.addEventListener("change", take);
  const reset = button(t("stretch.reset"), () => {
    dark.value = String(low);
    bright.value = String(high);
    take();
  }, { class: "quiet small" });
  return h("div", { class: "stretch", role: "group", "aria-label": t("stretch.title") },
    h("span", {}, t("stretch.title")), dark, h("span", {}, "–"), bright, reset);
}
