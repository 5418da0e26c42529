import { queryOptions } from '@tanstack/react-query';
import { client, data } from './client';
import { queries } from './queries';
import type { components } from './schema';

type Schemas = components['schemas'];

export type Fleet = Schemas['ListFunctionsResponse'];
export type FleetFunction = Schemas['FleetFunction'];
export type BreakerState = Schemas['FleetBreakerState'];

/** What the fleet was like at one moment. */
export interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly coldStarts: number;
  readonly requests: number;
  readonly errors: number;
  readonly instances: number;
  /** The state of each circuit breaker that has changed, by its name. */
  readonly breakers: Readonly<Record<string, BreakerState>>;
}

/** The newest answer, and what earlier ones said. */
export interface Watched {
  readonly now: Fleet;
  readonly samples: readonly Sample[];
}

/** How often the fleet is read while a page of it is visible, milliseconds. */
const AGAIN_MS = 3000;

/** Samples that are kept: ten minutes. */
const KEPT = 200;

const KEY = ['fleet'];

/**
 * The fleet, read again while a page of it is visible. Reading it starts nothing but the function that answers.
 * The API tells the present state alone, so what was before is what this page has seen.
 */
export function fleet() {
  return queryOptions({
    queryKey: KEY,
    // Without the signal, a read goes on when its page is left. Its answer is for the next page, too, and it alone
    // says which start it caused.
    queryFn: async (): Promise<Watched> => {
      const now = await data(client.GET('/admin/fleet'));
      const before = queries.getQueryData<Watched>(KEY)?.samples ?? [];
      return { now, samples: [...before, sampleOf(now)].slice(-KEPT) };
    },
    gcTime: Infinity,
    staleTime: 0,
    refetchInterval: AGAIN_MS,
  });
}

/** The sums of an answer. */
export function sampleOf({ functions, breakers, read_at: at }: Fleet): Sample {
  const sum = (of: (one: FleetFunction) => number | null | undefined) =>
    functions.reduce((total, one) => total + (of(one) ?? 0), 0);
  return {
    at: Date.parse(at),
    coldStarts: sum((one) => one.cold_starts),
    requests: sum((one) => one.requests),
    errors: sum((one) => one.errors),
    instances: sum(instancesOf),
    breakers: Object.fromEntries(breakers.map(({ name, state }) => [name, state])),
  };
}

/** Instances that start or take requests. */
export function instancesOf({ instances }: FleetFunction): number {
  return (instances?.starting ?? 0) + (instances?.ready ?? 0);
}

/** How to get a fact that this engine does not know; undefined if it knows it. */
export function howToGet({ missing }: Fleet, field: string): string | undefined {
  return missing.find((fact) => fact.field === field)?.how;
}
