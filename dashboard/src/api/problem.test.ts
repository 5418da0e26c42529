import { describe, expect, test } from 'vitest';
import { Failure, failureOf, isRepeatable, pause, triesAgain, unreachable } from './problem';

const answer = (status: number, headers: Record<string, string> = {}) =>
  new Response(null, { status, headers });

describe('failureOf', () => {
  test('keeps the words of a problem document, field by field', () => {
    const failure = failureOf(answer(400), {
      code: 'INVALID_ARGUMENT',
      detail: 'email must be an e-mail address',
      errors: [{ field: 'email', description: 'must be an e-mail address' }, 'nonsense'],
      trace_id: 'dc93',
    });
    expect(failure.message).toBe('email must be an e-mail address');
    expect([...failure.fields]).toEqual([['email', 'must be an e-mail address']]);
    expect(failure.traceId).toBe('dc93');
  });

  test('has words of its own for what the gateway answers by itself', () => {
    expect(failureOf(answer(429), { message: 'API rate limit exceeded' }).message).toContain(
      'Wait',
    );
    expect(failureOf(answer(418), undefined).message).toBe('HTTP status 418');
  });

  test('reads Retry-After in seconds, and passes over what it cannot read', () => {
    expect(failureOf(answer(503, { 'retry-after': '5' }), {}).retryAfter).toBe(5000);
    expect(failureOf(answer(503, { 'retry-after': 'soon' }), {}).retryAfter).toBeUndefined();
  });
});

describe('a retry under the same key', () => {
  const failed = (status: number, code = '', orderId?: string) =>
    new Failure('', { status, code, ...(orderId === undefined ? {} : { orderId }) });

  test.each([
    ['nothing answered', unreachable(), true],
    ['a request under this key still runs', failed(409, 'ABORTED'), true],
    ['the state does not allow it', failed(409, 'FAILED_PRECONDITION'), false],
    ['bad input', failed(400, 'INVALID_ARGUMENT'), false],
    ['out of time', failed(504, 'DEADLINE_EXCEEDED'), true],
    ['a system that is needed does not answer', failed(503, 'UNAVAILABLE'), true],
    ['an order that goes on by itself', failed(503, 'UNAVAILABLE', 'an id'), false],
    ['another error', new Error('a mistake of ours'), false],
  ])('%s', (_, error, repeatable) => {
    expect(isRepeatable(error)).toBe(repeatable);
  });

  test('waits as long as the answer asks, and asks people to wait when that is long', () => {
    const soon = new Failure('', { status: 503, retryAfter: 2000 });
    const late = new Failure('', { status: 429, retryAfter: 42_000 });
    expect(pause(0, soon)).toBe(2000);
    expect(triesAgain(0, soon)).toBe(true);
    expect(triesAgain(0, late)).toBe(false);
    expect(triesAgain(3, soon)).toBe(false);
  });
});
