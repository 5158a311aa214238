/** Addresses of the page: paths name views, queries name what is shown. */

export type Route =
  | { view: "map" }
  | { view: "warning"; id: string }
  | { view: "queue" }
  | { view: "dashboard" }
  | { view: "login" };

export function route(path: string = location.pathname): Route {
  const warning = /^\/w\/([^/]+)\/?$/.exec(path);
  if (warning?.[1]) return { view: "warning", id: decodeURIComponent(warning[1]) };
  if (path.startsWith("/queue")) return { view: "queue" };
  if (path.startsWith("/dashboard")) return { view: "dashboard" };
  if (path.startsWith("/login")) return { view: "login" };
  return { view: "map" };
}

let follow: () => void = () => undefined;

export function navigate(href: string): void {
  history.pushState(null, "", href);
  follow();
}

/** Change the query of the shown view without drawing it anew. */
export function remember(query: URLSearchParams): void {
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
}

/** Call `draw` at once and whenever the address changes. */
export function start(draw: () => void): void {
  follow = draw;
  window.addEventListener("popstate", draw);
  document.addEventListener("click", (event) => {
    const anchor = (event.target as Element | null)?.closest?.("a[data-link]");
    const modified = event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0;
    if (!(anchor instanceof HTMLAnchorElement) || modified) return;
    event.preventDefault();
    navigate(anchor.pathname + anchor.search);
  });
  draw();
}
