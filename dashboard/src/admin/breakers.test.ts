import { expect, test } from 'vitest';
import type { BreakerState, Sample } from '../api/fleet';
import { history } from './breakers';

const sample = (at: number, breakers: Record<string, BreakerState>): Sample => ({
  at,
  coldStarts: 0,
  requests: 0,
  errors: 0,
  instances: 0,
  breakers,
});

test('a circuit breaker keeps a state until the sample that shows another one', () => {
  const samples = [
    sample(0, { cart: 'OPEN' }),
    sample(3, { cart: 'OPEN', payment: 'OPEN' }),
    sample(6, { cart: 'OPEN', payment: 'HALF_OPEN' }),
    sample(9, { cart: 'OPEN', payment: 'CLOSED' }),
  ];
  expect(Object.fromEntries(history(samples))).toEqual({
    cart: [{ state: 'OPEN', from: 0, until: 9 }],
    payment: [
      { state: 'CLOSED', from: 0, until: 3 },
      { state: 'OPEN', from: 3, until: 6 },
      { state: 'HALF_OPEN', from: 6, until: 9 },
      { state: 'CLOSED', from: 9, until: 9 },
    ],
  });
});

test('without a change there is no history', () => {
  expect(history([sample(0, {})]).size).toBe(0);
});
