/** Small helpers to build the page. All text goes through text nodes: data never becomes markup. */

export type Child = Node | string | number | null | undefined | false;

type Handlers = { [K in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[K]) => void };
export interface Props {
  on?: Handlers;
  [attribute: string]: string | number | boolean | null | undefined | Handlers;
}

function apply(node: Element, props: Props): void {
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false || name === "on") continue;
    node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const [event, handler] of Object.entries(props.on ?? {})) {
    node.addEventListener(event, handler as EventListener);
  }
}

/** A new element with attributes, handlers (`on`) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const node = document.createElement(tag);
  apply(node, props);
  append(node, children);
  return node;
}

/** A new SVG element. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): SVGElementTagNameMap[K] {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  apply(node, props);
  append(node, children);
  return node;
}

function append(node: Element, children: Child[]): void {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
}

/** Replace what `node` contains. */
export function fill(node: Element, ...children: Child[]): void {
  node.replaceChildren();
  append(node, children);
}

/** A labelled control: the label wraps it, so that both are one target. */
export function field(label: string, control: HTMLElement, props: Props = {}): HTMLLabelElement {
  return h("label", { class: "field", ...props }, h("span", { class: "field-label" }, label), control);
}

export function button(label: string, click: () => void, props: Props = {}): HTMLButtonElement {
  return h("button", { type: "button", ...props, on: { click } }, label);
}

/** A <select>; `options` are [value, label]. */
export function select(
  options: readonly (readonly [string, string])[],
  value: string,
  change: (value: string) => void,
  props: Props = {},
): HTMLSelectElement {
  const node = h("select", props, ...options.map(([v, label]) => h("option", { value: v }, label)));
  node.value = value;
  node.addEventListener("change", () => change(node.value));
  return node;
}

/** A link inside the application; `router.ts` follows it without loading the page anew. */
export function link(href: string, label: Child, props: Props = {}): HTMLAnchorElement {
  return h("a", { href, "data-link": true, ...props }, label);
}

/** Run `action` once, `ms` after the last call. */
export function debounce(action: () => void, ms: number): () => void {
  let timer = 0;
  return () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(action, ms);
  };
}

/** Resolves after `ms`. */
export function later(ms: number): Promise<void> {
  return new Promise((resolve) => { window.setTimeout(resolve, ms); });
}

const live = h("div", { class: "toast", role: "status", "aria-live": "polite" });
let hide = 0;

/** Say something in passing, on the screen and to a screen reader. */
export function toast(text: string, kind: "info" | "error" = "info"): void {
  if (!live.isConnected) document.body.append(live);
  live.className = `toast toast-${kind} shown`;
  live.textContent = text;
  window.clearTimeout(hide);
  hide = window.setTimeout(() => live.classList.remove("shown"), kind === "error" ? 9000 : 3500);
}
