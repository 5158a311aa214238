/** `/login`. */
import { api, problem } from "./api";
import { field, fill, h } from "./dom";
import { t } from "./i18n";
import { navigate } from "./router";
import type { View } from "./view";

export function loginView(entered: () => Promise<void>): View {
  const fault = h("p", { class: "error", role: "alert" });
  const name = h("input", { name: "name", autocomplete: "username", required: true });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password", required: true });
  const send = h("button", { type: "submit" }, t("login.enter"));
  const form = h("form", { class: "login" }, h("h1", {}, t("nav.login")),
    field(t("login.name"), name), field(t("login.password"), password), send, fault);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send.disabled = true;
    fill(fault);
    api.login(name.value, password.value).then(
      async () => {
        await entered();
        navigate(target());
      },
      (error: unknown) => {
        fill(fault, problem(error));
        password.select();
      },
    ).finally(() => { send.disabled = false; });
  });

  return { node: h("div", { class: "page narrow" }, form), title: t("nav.login"), destroy: () => undefined };
}

/** Where the visitor wanted to go: a path of this site, never an address elsewhere. */
function target(): string {
  const next = new URLSearchParams(location.search).get("next") ?? "/";
  return /^\/(?![/\\])/.test(next) ? next : "/";
}
