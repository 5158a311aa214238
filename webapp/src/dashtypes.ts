/** What the dashboard's routes answer (docs/web.md). */
export interface Estimate {
  value: number | null;
  low: number | null;
  high: number | null;
  n: number | null;
}

export interface DayCount {
  day: string;
  n: number;
  area_ha: number;
}

export type Category = "agreement" | "minor" | "major" | "unassessed";

export interface FieldPoint {
  warning_id: string;
  lon: number;
  lat: number;
  verdict: string;
  category: Category;
}

export interface Lead {
  warnings: number;
  first: number;
  same_day: number;
  later: number;
  only: number;
  first_or_only: Estimate;
  first_or_only_area: Estimate;
  lead_days: Estimate;
}

/** Our warnings beside the optical alerts. */
export interface Optical {
  since: string;
  until: string;
  window_days: number;
  ours: Record<string, number>;
  theirs: Record<string, number>;
  lead: Lead;
  lead_november_march: Lead;
  months: { month: string; ours: number; only_ours: number; theirs: number; only_theirs: number }[];
}

export interface ProdesYear {
  prodes_year: number;
  n: number;
  area_ha: number;
  residue_n: number;
  residue_ha: number;
  share_n: number;
  share_area: number;
}

export interface Agreement {
  n: number;
  area_ha: number;
  rows: {
    category: Category;
    intensity_class: string | null;
    verdict: string | null;
    n: number;
    share_n: number;
    area_ha: number;
    share_area: number;
  }[];
}

export interface Dashboard {
  counts?: unknown;
  agreement?: Agreement;
  accuracy?: unknown;
  field?: Agreement & { points: FieldPoint[]; accuracy: unknown };
  years?: ProdesYear[];
  timeline_issued?: DayCount[];
  timeline_flagged?: DayCount[];
  delay?: { median: unknown; p90: unknown; density: { days: number; n: number }[] };
  cadence?: { orbit: number; day: string }[];
  interpreters?: unknown;
  monitored?: unknown;
  heat?: { radius_km: number; side_km: number; cells: { lon: number; lat: number; m2_per_ha: number }[] };
  season?: unknown;
  [section: string]: unknown;
}
