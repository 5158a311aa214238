/** The only module that speaks with the server. */
import { said } from "./i18n";
import { stretchQuery } from "./stretch";
import type { Polygon } from "geojson";
import type { Dashboard, Optical } from "./dashtypes";
import type {
  Acquisition,
  Ballot,
  Config,
  Dispute,
  Evidence,
  OpticalImage,
  Queue,
  SampleDay,
  Series,
  Session,
  Vote,
  WarningCollection,
  WarningDetail,
  WarningPage,
} from "./types";

/** A refusal by the server: what happened, where, what to do. */
export class ApiError extends Error {
  readonly status: number;
  readonly remedy: string;
  constructor(status: number, what: string, remedy: string) {
    super(what);
    this.status = status;
    this.remedy = remedy;
  }
}

let csrf: string | null = null;

async function refusal(answer: Response): Promise<ApiError> {
  let what = `${answer.status} ${answer.statusText}`;
  let remedy = "";
  try {
    const body = (await answer.json()) as { error?: { what?: string; remedy?: string } };
    what = body.error?.what ?? what;
    remedy = body.error?.remedy ?? "";
  } catch {
    // Not JSON: a proxy's page. The status says enough.
  }
  return new ApiError(answer.status, what, remedy);
}

async function request<T>(path: string, init: RequestInit = {}): Promise<T> {
  const answer = await fetch(path, { credentials: "same-origin", ...init });
  if (!answer.ok) throw await refusal(answer);
  return (await answer.json()) as T;
}

function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return request<T>(path, signal ? { signal } : {});
}

function post<T>(path: string, body: unknown): Promise<T> {
  const form = body instanceof FormData;
  const headers: Record<string, string> = form ? {} : { "Content-Type": "application/json" };
  if (csrf) headers["X-CSRF-Token"] = csrf;
  return request<T>(path, { method: "POST", headers, body: form ? body : JSON.stringify(body) });
}

async function entered(answer: Promise<Session>): Promise<Session> {
  const session = await answer;
  csrf = session.csrf;
  return session;
}

const id = encodeURIComponent;

export const api = {
  session: () => entered(get<Session>("/api/session")),
  login: (name: string, password: string) => entered(post<Session>("/api/login", { name, password })),
  logout: () => entered(post<Session>("/api/logout", {})),
  config: () => get<Config>("/api/config"),

  warnings: (query: URLSearchParams, signal?: AbortSignal) =>
    get<WarningPage>(`/api/warnings?${query}`, signal),
  collection: (query: URLSearchParams, signal?: AbortSignal) =>
    get<WarningCollection>(`/api/warnings.geojson?${query}`, signal),
  warning: (warning: string, signal?: AbortSignal) =>
    get<WarningDetail>(`/api/warnings/${id(warning)}`, signal),
  evidence: (warning: string, signal?: AbortSignal) =>
    get<Evidence>(`/api/warnings/${id(warning)}/evidence`, signal),
  opticalImages: (warning: string, signal?: AbortSignal) =>
    get<{ before: OpticalImage[]; after: OpticalImage[] }>(`/api/warnings/${id(warning)}/optical`, signal),
  votes: (warning: string) =>
    get<{ votes: Vote[]; blind: boolean }>(`/api/warnings/${id(warning)}/votes`),
  series: (query: URLSearchParams, signal?: AbortSignal) => get<Series>(`/api/series?${query}`, signal),
  acquisitions: () => get<Acquisition[]>("/api/acquisitions"),
  dashboard: (query: URLSearchParams) => get<Dashboard>(`/api/dashboard?${query}`),
  optical: (query: URLSearchParams) => get<Optical>(`/api/dashboard/optical?${query}`),

  queue: (day?: string) => get<Queue>(day ? `/api/queue?day=${id(day)}` : "/api/queue"),
  review: (warning: string, ballot: Ballot) => post<Vote>(`/api/warnings/${id(warning)}/review`, ballot),
  undo: (vote: number | string) => post<Vote>(`/api/votes/${id(String(vote))}/undo`, {}),
  visit: (warning: string, form: FormData) => post<Vote>(`/api/warnings/${id(warning)}/field`, form),
  visits: (form: FormData) =>
    post<{ accepted: number; refused: { row: number; why: string }[] }>("/api/field", form),
  redraw: (warning: string, geometry: Polygon, reason: string) =>
    post<Record<string, unknown>>(`/api/warnings/${id(warning)}/edit`, { geometry, reason }),
  judgeCandidate: (candidate: string, verdict: string, comment: string) =>
    post<Record<string, unknown>>(`/api/candidates/${id(candidate)}/review`, comment ? { verdict, comment } : { verdict }),
  disputes: () => get<Dispute[] | { items: Dispute[] }>("/api/disputes"),
  samples: () => get<SampleDay[] | { items: SampleDay[] }>("/api/samples"),
  draw: (body: Record<string, unknown>) => post<Record<string, unknown>>("/api/samples", body),
};

/** The sentence to show for anything that went wrong: in the reader's language where the dictionaries have it. */
export function problem(error: unknown): string {
  if (error instanceof ApiError) {
    return said(error.message) ?? [error.message, error.remedy].filter(Boolean).join(". ");
  }
  return error instanceof Error ? error.message : String(error);
}

/** True for a request that we ourselves gave up. */
export function aborted(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** Address of raster tiles of one acquisition (or `mosaic`), or of a product band. */
export function sarTiles(acquisition: string, until?: string): string {
  const query = [until ? `until=${id(until)}` : "", stretchQuery()].filter(Boolean).join("&");
  return `${location.origin}/api/tiles/sar/${id(acquisition)}/{z}/{x}/{y}.png${query ? `?${query}` : ""}`;
}
export function opticalTiles(image: string): string {
  return `${location.origin}/api/tiles/optical/${id(image)}/{z}/{x}/{y}.png`;
}
export function productTiles(acquisition: string, band: string): string {
  return `${location.origin}/api/tiles/product/${id(acquisition)}/${id(band)}/{z}/{x}/{y}.png`;
}
export function xyzTiles(layer: string): string {
  return `${location.origin}/api/tiles/xyz/${id(layer)}/{z}/{x}/{y}`;
}
