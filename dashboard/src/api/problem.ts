/** What the client does about a failure. */
export type FailureKind = 'problem' | 'unreachable';

/** A request that failed, with the words of the problem document that answered it. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly kind: FailureKind;
  /** The HTTP status; 0 if nothing answered. */
  readonly status: number;
  /** The gRPC status' name; empty if the gateway answered by itself. */
  readonly code: string;
  /** What is wrong with each field that the answer names. */
  readonly fields: ReadonlyMap<string, string>;
  /** When to try again, milliseconds from the answer on. */
  readonly retryAfter: number | undefined;
  /** The order that the failed request made. */
  readonly orderId: string | undefined;
  /** By which the logs know the request. */
  readonly traceId: string | undefined;

  constructor(message: string, about: Partial<Omit<Failure, keyof Error>> = {}) {
    super(message);
    this.kind = about.kind ?? 'problem';
    this.status = about.status ?? 0;
    this.code = about.code ?? '';
    this.fields = about.fields ?? new Map();
    this.retryAfter = about.retryAfter;
    this.orderId = about.orderId;
    this.traceId = about.traceId;
  }
}

/** Nothing answered: no network, or no server. */
export function unreachable(): Failure {
  return new Failure('The shop does not answer. It is tried again.', { kind: 'unreachable' });
}

/** What the gateway says by itself, in words for people who shop. */
const GATEWAY: Record<number, string> = {
  401: 'Sign in to go on.',
  404: 'There is no such page of the API.',
  429: 'Too many requests came from here. Wait a moment.',
  502: 'A part of the shop does not answer at the moment.',
  503: 'A part of the shop does not answer at the moment.',
  504: 'The answer took too long.',
};

/** The failure that an answer tells of. `body` is what it holds, parsed or as text. */
export function failureOf(response: Response, body: unknown): Failure {
  const { status } = response;
  const problem = isObject(body) ? body : {};
  const detail = text(problem['detail']);
  const message = detail ?? GATEWAY[status] ?? text(problem['message']) ?? `HTTP status ${status}`;
  return new Failure(message, {
    status,
    code: text(problem['code']) ?? '',
    fields: fieldsOf(problem['errors']),
    retryAfter: retryAfter(response.headers.get('retry-after')),
    orderId: text(problem['order_id']),
    traceId: text(problem['trace_id']),
  });
}

/** Whether the same request under the same idempotency key may succeed later. */
export function isRepeatable(error: unknown): boolean {
  if (!(error instanceof Failure)) return false;
  if (error.kind === 'unreachable') return true;
  // That order goes on by itself; its page says how.
  if (error.orderId !== undefined) return false;
  return error.code === 'ABORTED' || [408, 429, 502, 503, 504].includes(error.status);
}

/** How long to wait before the next try, in milliseconds. */
export function pause(tries: number, error: unknown): number {
  const asked = error instanceof Failure ? error.retryAfter : undefined;
  return asked ?? Math.min(500 * 2 ** tries, 8000);
}

/** Whether to try again without asking: not when the answer says to wait for long. */
export function triesAgain(tries: number, error: unknown): boolean {
  return tries < 3 && isRepeatable(error) && pause(tries, error) <= 8000;
}

function fieldsOf(errors: unknown): Map<string, string> {
  const fields = new Map<string, string>();
  if (!Array.isArray(errors)) return fields;
  for (const error of errors as unknown[]) {
    if (!isObject(error)) continue;
    const [field, description] = [text(error['field']), text(error['description'])];
    if (field !== undefined && description !== undefined) fields.set(field, description);
  }
  return fields;
}

/** `Retry-After` in milliseconds: its seconds, or its date (RFC 9110, section 10.2.3). */
function retryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : undefined;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}
