import { QueryClient } from '@tanstack/react-query';
import { expect, test } from 'vitest';
import { keep, startsOf, type OwnRequests } from './requests';

test.each([
  [null, []],
  ['cache;dur=1', []],
  ['cold-start;desc="get-user";dur=31.4', [['get-user', 31.4]]],
  [
    'db;dur=2, cold-start;desc="create-order";dur=40.0, cold-start;desc="clear-cart";dur=9.5',
    [
      ['create-order', 40],
      ['clear-cart', 9.5],
    ],
  ],
])('Server-Timing %j names the starts', (header, starts) => {
  const found = startsOf(header, 1, 'GET /');
  expect(found.map(({ name, ms }) => [name, ms])).toEqual(starts);
});

test('starts are kept for as long as the page is open, and requests up to a number', () => {
  const queries = new QueryClient();
  const cold = new Headers({ 'server-timing': 'cold-start;desc="get-product";dur=12.0' });
  keep(queries, 'GET /products/{id}', Date.now() - 50, cold);
  for (let more = 0; more < 600; more += 1) keep(queries, 'GET /', Date.now(), new Headers());
  const kept = queries.getQueryData<OwnRequests>(['requests']);
  expect(kept?.answered).toHaveLength(500);
  expect(kept?.starts.map(({ name, route }) => [name, route])).toEqual([
    ['get-product', 'GET /products/{id}'],
  ]);
});
