import { skipToken, useQuery, type QueryClient } from '@tanstack/react-query';
import type { User } from '../api/types';
import { claimsOf } from './claims';

/**
 * Who is signed in. It is in memory only: a script of another page, or a person who opens this browser
 * later, finds no token in any storage. A reload asks for the password again.
 */
export interface Session {
  readonly token: string;
  readonly user: User;
  readonly isAdmin: boolean;
  /** It ended, and the person was not asked yet to sign in again. */
  readonly expired: boolean;
}

const KEY = ['session'];

/** The longest that a browser's timer waits, milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

let timer: ReturnType<typeof setTimeout> | undefined;

/** The session; null without one. */
export function useSession(): Session | null {
  const { data } = useQuery<Session | null>({
    queryKey: KEY,
    queryFn: skipToken,
    initialData: null as Session | null,
    staleTime: Infinity,
    gcTime: Infinity,
  });
  return data ?? null;
}

/** The token to send; none without a session that is good. */
export function tokenOf(queries: QueryClient): string | undefined {
  const session = queries.getQueryData<Session | null>(KEY);
  return session == null || session.expired ? undefined : session.token;
}

/** Begins a session, or goes on with one that had expired. */
export function begin(queries: QueryClient, token: string, user: User): void {
  const before = queries.getQueryData<Session | null>(KEY);
  if (before != null && before.user.id !== user.id) forget(queries);
  const { role, exp } = claimsOf(token);
  queries.setQueryData<Session>(KEY, { token, user, isAdmin: role === 'admin', expired: false });
  clearTimeout(timer);
  if (exp !== undefined) {
    const left = Math.min(Math.max(exp * 1000 - Date.now(), 0), LONGEST_TIMER);
    timer = setTimeout(() => expire(queries), left);
  }
  // What failed without a token, or was read as somebody else, is read again.
  void queries.invalidateQueries({ predicate: ({ queryKey }) => queryKey[0] !== KEY[0] });
}

/** The token is not good any more. The page stays, and asks for the password. */
export function expire(queries: QueryClient): void {
  clearTimeout(timer);
  queries.setQueryData<Session | null>(KEY, (session) =>
    session == null ? null : { ...session, token: '', expired: true },
  );
}

/** Ends the session, and forgets what was read in it. */
export function end(queries: QueryClient): void {
  clearTimeout(timer);
  queries.setQueryData<Session | null>(KEY, null);
  forget(queries);
}

function forget(queries: QueryClient): void {
  const everybody = ['session', 'reachable', 'requests', 'products', 'product'];
  queries.removeQueries({
    predicate: ({ queryKey }) => !everybody.includes(String(queryKey[0])),
  });
}
