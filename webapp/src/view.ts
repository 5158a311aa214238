/** What every view is to the frame: a node, and a way to leave nothing behind. */
import type { Config, Session } from "./types";

export interface View {
  node: HTMLElement;
  title: string;
  destroy(): void;
}

export interface Context {
  config: Config;
  session: Session;
  /** Read session and configuration again and draw the frame anew. */
  reload(): Promise<void>;
}

export function mayReview(session: Session): boolean {
  return session.role === "interpreter" || session.role === "operator";
}
