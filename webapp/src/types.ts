/** Shapes of the server's answers, as docs/web.md and docs/data-dictionary.md state them. */
import type { Feature, FeatureCollection, MultiPolygon, Point, Polygon } from "geojson";

export type Role = "viewer" | "interpreter" | "operator";
export type Status = "preliminary" | "confirmed" | "closed";
export type Box = [number, number, number, number];

export interface Session {
  name: string | null;
  role: Role | null;
  csrf: string | null;
  public: boolean;
}

export interface Freshness {
  last_scene: string | null;
  last_run: string | null;
  age_days: number | null;
  stale: boolean;
}

export interface MapLayer {
  name: string;
  kind: "overlay" | "xyz";
  title: string;
}

export interface Config {
  name: string;
  bbox: Box;
  language: string;
  languages: string[];
  role: Role | null;
  preset: string;
  attribution: string;
  days: { first: string | null; last: string | null };
  tile_minzoom: number;
  tile_maxzoom: number;
  layers: MapLayer[];
  verdicts: string[];
  rejecting: string[];
  reasons: string[];
  product_bands: string[];
  /** Usual levels of VH drawn as dark and bright, dB. */
  stretch_db: [number, number];
  /** Whether /api/warnings/{id}/optical answers. */
  optical_images: boolean;
  /** Whether /api/dashboard/optical answers. */
  optical: boolean;
  freshness: Freshness;
}

export interface WarningFields {
  warning_id: string;
  status: Status;
  closed_reason: string | null;
  intensity_class: "low_intensity" | "high_intensity" | null;
  confidence: number | null;
  n_alerts: number | null;
  excess_db: number | null;
  first_flag_date: string | null;
  issued_at: string | null;
  confirmed_at: string | null;
  delay_from_flag_days: number | null;
  relative_orbit: number | null;
  platform: string | null;
  area_ha: number;
  growth_30d_ha: number | null;
  distance_to_deforestation_m: number | null;
  threshold_db: number | null;
  uf: string | null;
  municipality: string | null;
  protected_area: string | null;
  indigenous_territory: string | null;
  mining_score: number | null;
  priority: number | null;
  verdict: string | null;
  verdict_at: string | null;
  verdict_source: string | null;
  preset: string | null;
}

export interface WarningItem extends WarningFields {
  lon: number;
  lat: number;
}

export interface Review {
  verdict: string | null;
  source: string | null;
  state: "open" | "agreed" | "disputed" | "adjudicated" | "field";
  category: "agreement" | "minor" | "major" | "unassessed" | null;
  n_votes: number;
}

export interface WarningDetail extends WarningFields {
  geometry: MultiPolygon | Polygon;
  bbox: Box;
  edited: boolean;
  overlays: Record<string, string | number | null> | null;
  history: [string | number, number][] | null;
  votes: number;
  review: Review | null;
  neighbours: string[];
}

export interface WarningPage {
  total: number;
  items: WarningItem[];
  next: number | null;
}

export interface Cell {
  cluster: true;
  count: number;
  area_ha: number;
  confirmed: number;
}
export interface WarningCollection
  extends FeatureCollection<Point | Polygon | MultiPolygon, Partial<WarningFields> & Partial<Cell>> {
  truncated?: boolean;
}
export type WarningFeature = Feature<MultiPolygon | Polygon>;

export interface Acquisition {
  acquisition_id: string;
  acquired: string;
  day: string;
  relative_orbit: number;
  platform: string;
  orbit_state: string | null;
  product: boolean;
  bbox: Box | null;
}

export interface Evidence {
  before: Acquisition[];
  after: Acquisition[];
  point: { lon: number; lat: number };
  orbit: number | null;
  /** Day of the image that confirmed the warning, else of the last that flagged it. */
  on: string | null;
}

export interface OpticalImage {
  image_id: string;
  day: string;
  platform: string;
  cloud: number | null;
}

export interface SeriesPoint {
  time: string;
  gamma0_db: number | null;
  season_db: number | null;
  stabilised_db: number | null;
  period: string | null;
  reference_db: number | null;
  threshold_db: number | null;
  limit_db: number | null;
  flag: boolean | null;
  excess_db: number | null;
}

export interface Series {
  lon: number;
  lat: number;
  orbit: number | null;
  on: string | null;
  orbits: number[];
  points: SeriesPoint[];
  reason?: string;
}

export interface Vote {
  vote_id: number | string;
  warning_id: string;
  interpreter: string | null;
  source: string;
  verdict: string;
  kind: string;
  confidence: number | null;
  comment: string | null;
  reason: string | null;
  seconds_spent: number | null;
  voted_at: string;
  supersedes: number | string | null;
  standing: boolean;
  field?: { visited_on?: string; method?: string; finding?: string; photo?: string } | null;
}

export interface QueueItem {
  warning_id: string;
  day: string;
  stratum: string | null;
  blind: boolean;
  state: "open" | "done" | "skipped";
  my_vote: Vote | null;
  area_ha: number;
  intensity_class: string | null;
  status: Status;
  lon: number;
  lat: number;
  bbox: Box;
}

export interface Candidate {
  candidate_id: string;
  probability: number;
  first_seen: string;
  last_seen: string;
  verdict: string | null;
}

export interface Queue {
  day: string | null;
  plan: string | null;
  done: number;
  total: number;
  streak_seconds_median: number | null;
  items: QueueItem[];
}

export interface Dispute {
  warning_id: string;
  votes: Vote[];
  [field: string]: unknown;
}

export interface Ballot {
  verdict: string;
  confidence?: number;
  comment?: string;
  reason?: string;
  seconds_spent?: number;
  context?: Record<string, unknown>;
  supersedes?: number | string;
  kind?: "vote" | "adjudication";
}

export interface SampleDay {
  day: string;
  plan?: string;
  drawn?: number;
  done?: number;
  total?: number;
  [field: string]: unknown;
}
