// Bundles src/ into the Python package: src/curupira/serve/static/. Run by `make web`.
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = join(here, "../src/curupira/serve/static");

/** Every file the bundle depends on, relative to webapp/, sorted. */
function sources() {
  const found = ["build.mjs", "package-lock.json", "package.json", "tsconfig.json"];
  const walk = (folder) => {
    for (const name of readdirSync(join(here, folder))) {
      const path = `${folder}/${name}`;
      if (statSync(join(here, path)).isDirectory()) walk(path);
      else found.push(path);
    }
  };
  walk("src");
  walk("public");
  return found.sort();
}

/** SHA-256 over "path NUL content NUL" of every source: tests/web recomputes it. */
function hash(paths) {
  const digest = createHash("sha256");
  for (const path of paths) {
    digest.update(path).update("\0").update(readFileSync(join(here, path))).update("\0");
  }
  return digest.digest("hex");
}

rmSync(out, { recursive: true, force: true });
mkdirSync(out, { recursive: true });
const common = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022"],
  outdir: out,
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
};
// The map's library comes as a file of its own, beside the first requests.
await build({
  ...common,
  entryPoints: { main: "src/main.ts" },
  splitting: true,
  chunkNames: "[name]",
  loader: { ".svg": "dataurl" },
});
await build({
  ...common,
  entryPoints: { "maplibre-gl-worker": "node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs" },
});
cpSync(join(here, "public"), out, { recursive: true });

const licences = [
  ["MapLibre GL JS", "node_modules/maplibre-gl/LICENSE.txt"],
  ["uPlot", "node_modules/uplot/LICENSE"],
].map(([name, path]) => `${name}\n\n${readFileSync(join(here, path), "utf8").trim()}\n`);
writeFileSync(join(out, "LICENSES.txt"), licences.join("\n----\n\n"));
writeFileSync(join(out, "build.json"), `${JSON.stringify({ sources: hash(sources()) })}\n`);
