import type { BreakerState, Sample } from '../api/fleet';

/** The words and the colour of each state of a circuit breaker. */
export const BREAKER_STATES = {
  FLEET_BREAKER_STATE_UNSPECIFIED: { text: 'unknown', color: 'default' },
  CLOSED: { text: 'closed', color: 'success' },
  HALF_OPEN: { text: 'half-open', color: 'warning' },
  OPEN: { text: 'open', color: 'error' },
} as const;

/** A time in which a circuit breaker kept its state, as it was seen. */
export interface Stay {
  readonly state: BreakerState;
  /** Milliseconds since 1970. */
  readonly from: number;
  until: number;
}

/**
 * The states of each circuit breaker over time. One that a sample does not name has not changed since the
 * engine started: it is closed.
 */
export function history(samples: readonly Sample[]): Map<string, Stay[]> {
  const names = new Set(samples.flatMap(({ breakers }) => Object.keys(breakers)));
  const stays = new Map(Array.from(names, (name): [string, Stay[]] => [name, []]));
  for (const { at, breakers } of samples) {
    for (const [name, before] of stays) {
      const state = breakers[name] ?? 'CLOSED';
      const last = before.at(-1);
      if (last !== undefined) last.until = at;
      if (last?.state !== state) before.push({ state, from: at, until: at });
    }
  }
  return stays;
}
