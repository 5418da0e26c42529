import createClient, { type Middleware } from 'openapi-fetch';
import { expire, tokenOf } from '../session/session';
import { Failure, failureOf, unreachable } from './problem';
import { queries } from './queries';
import { keep } from './requests';
import type { paths } from './schema';

/** The key under which a read tells whether the shop answers. */
export const REACHABLE = ['reachable'];

/** Routes that read no token: it would only make them answer 401 once it has expired. */
const OPEN = ['/auth/login', '/users'];

/** When each request under way was sent, milliseconds since 1970. */
const begun = new Map<string, number>();

const session: Middleware = {
  onRequest({ id, request, schemaPath }) {
    begun.set(id, Date.now());
    const token = tokenOf(queries);
    const open = request.method === 'POST' && OPEN.includes(schemaPath);
    if (token !== undefined && !open) request.headers.set('authorization', `Bearer ${token}`);
    request.headers.set('accept', 'application/json');
    return request;
  },
  onResponse({ id, request, response, schemaPath }) {
    const route = `${request.method} ${schemaPath}`;
    keep(queries, route, begun.get(id) ?? Date.now(), response.headers);
    begun.delete(id);
    queries.setQueryData(REACHABLE, true);
    // A token that was sent and is not accepted has expired, or its key was replaced.
    const sent = request.headers.get('authorization');
    if (response.status === 401 && sent === `Bearer ${tokenOf(queries) ?? ''}`) expire(queries);
  },
  onError({ id, error }) {
    begun.delete(id);
    // `fetch` fails with a TypeError if nothing answered. An AbortError is no failure of the shop.
    if (!(error instanceof TypeError)) return undefined;
    queries.setQueryData(REACHABLE, false);
    return unreachable();
  },
};

export const client = createClient<paths>({ baseUrl: '/', cache: 'no-store' });
client.use(session);

/** What openapi-fetch gives. */
interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer; a failure is thrown. */
export async function data<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (!response.ok) throw failureOf(response, error);
  if (data === undefined) throw new Failure('The answer is empty.', { status: response.status });
  return data;
}

/** The part of an answer that a success always has, though messages of Protobuf may lack any part. */
export function part<T>(value: T | null | undefined): T {
  if (value == null) throw new Failure('The answer lacks what was asked for.');
  return value;
}

/** The header of a write. */
export function under(key: string): { 'Idempotency-Key': string } {
  return { 'Idempotency-Key': key };
}
