import { expect, test } from 'vitest';
import { claimsOf } from './claims';

const token = (claims: unknown) =>
  `${btoa('{"kid":"k1"}')}.${btoa(JSON.stringify(claims)).replaceAll('+', '-')}.sig`;

test('reads role, expiry and key', () => {
  const claims = { sub: 'an id', role: 'admin', exp: 1_790_000_000 };
  expect(claimsOf(token(claims))).toEqual({ role: 'admin', exp: 1_790_000_000, kid: 'k1' });
});

test.each(['', 'x', 'a.b.c', 'e30.e30.sig', `e30.${btoa('{"role":1,"exp":"2"}')}.sig`])(
  'finds nothing in %j',
  (text) => {
    expect(claimsOf(text)).toEqual({});
  },
);
