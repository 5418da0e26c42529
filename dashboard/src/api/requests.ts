import { skipToken, useQuery, type QueryClient } from '@tanstack/react-query';

/** A start of a function that a request of this page caused, as the engine says in `Server-Timing`. */
export interface Start {
  readonly name: string;
  /** From the decision to start it until it was ready, milliseconds. */
  readonly ms: number;
  /** When the answer that says so came, milliseconds since 1970. */
  readonly at: number;
  /** The request that caused it. */
  readonly route: string;
}

/** A request of this page to the API that was answered. */
export interface Answered {
  /** When it was sent, milliseconds since 1970. */
  readonly at: number;
  /** From sending it to the head of its answer, milliseconds. */
  readonly ms: number;
  /** Such as `GET /products/{id}`. */
  readonly route: string;
  /** How many starts it caused. */
  readonly starts: number;
}

/** What this page has asked for since it was opened. */
export interface OwnRequests {
  /** The newest ones. */
  readonly answered: readonly Answered[];
  /** All of them. */
  readonly starts: readonly Start[];
}

/** Requests that are kept. */
const KEPT = 500;

const KEY = ['requests'];

const NONE: OwnRequests = { answered: [], starts: [] };

/** What the requests of this page have caused. */
export function useOwnRequests(): OwnRequests {
  const { data } = useQuery<OwnRequests>({
    queryKey: KEY,
    queryFn: skipToken,
    initialData: NONE,
    staleTime: Infinity,
    gcTime: Infinity,
  });
  return data ?? NONE;
}

/** Keeps a request that was sent at `sent` and is answered now. */
export function keep(queries: QueryClient, route: string, sent: number, headers: Headers): void {
  const now = Date.now();
  const caused = startsOf(headers.get('server-timing'), now, route);
  const answered = { at: sent, ms: now - sent, route, starts: caused.length };
  queries.setQueryData<OwnRequests>(KEY, (before = NONE) => ({
    answered: [...before.answered, answered].slice(-KEPT),
    starts: caused.length === 0 ? before.starts : [...before.starts, ...caused],
  }));
}

/** The starts in `Server-Timing`: `cold-start;desc="get-user";dur=31.4`, divided by commas. */
export function startsOf(header: string | null, at: number, route: string): Start[] {
  const found = (header ?? '').matchAll(/(?:^|,\s*)cold-start;desc="([^"]+)";dur=([\d.]+)/g);
  return Array.from(found, ([, name = '', ms]) => ({ name, ms: Number(ms), at, route }));
}
