import { describe, expect, test } from 'vitest';
import type { Order, OrderStatus } from '../../api/types';
import { byMinute, latencies, median, minutesKnown } from './buckets';

const NOW = Date.parse('2026-11-28T12:30:30Z');

const order = (status: OrderStatus, created: string, updated = created): Order => ({
  id: created,
  user_id: '',
  items: [],
  total_amount: 1,
  status,
  created_at: created,
  updated_at: updated,
  payment_id: '',
  reason: '',
});

describe('orders by minute', () => {
  const buckets = byMinute(
    [
      order('PAID', '2026-11-28T12:30:00Z'),
      order('DELIVERED', '2026-11-28T12:30:29Z'),
      order('FAILED', '2026-11-28T12:29:59Z'),
      order('PROCESSING', '2026-11-28T12:28:00Z'),
      order('PAID', '2026-11-28T12:27:59Z'),
    ],
    3,
    NOW,
  );

  test('are counted in the minute in which they were placed, by what became of them', () => {
    expect(buckets.map(({ paid, failed, underWay }) => [paid, failed, underWay])).toEqual([
      [0, 0, 1],
      [0, 1, 0],
      [2, 0, 0],
    ]);
  });

  test('end with the present minute, and leave out what is older', () => {
    expect(buckets.at(-1)?.at).toBe(Date.parse('2026-11-28T12:30:00Z'));
    expect(buckets.reduce((sum, { paid }) => sum + paid, 0)).toBe(2);
  });
});

test('minutes of which not all orders were read are left out', () => {
  const orders = ['2026-11-28T12:30:00Z', '2026-11-28T12:27:20Z'].map((at) => order('PAID', at));
  expect(minutesKnown(orders, false, 30, NOW)).toBe(30);
  expect(minutesKnown([], true, 30, NOW)).toBe(30);
  // From 12:28 on.
  expect(minutesKnown(orders, true, 30, NOW)).toBe(3);
  expect(minutesKnown(orders.slice(0, 1), true, 30, NOW)).toBe(1);
});

test('latencies are those of sagas that ended with the last change of status', () => {
  const made = [
    order('PAID', '2026-11-28T12:00:01Z', '2026-11-28T12:00:03.5Z'),
    order('SHIPPED', '2026-11-28T12:00:00Z', '2026-11-28T13:00:00Z'),
    order('FAILED', '2026-11-28T12:00:00Z', '2026-11-28T12:00:01Z'),
  ];
  expect(latencies(made).map(({ ms, paid }) => [ms, paid])).toEqual([
    [1000, false],
    [2500, true],
  ]);
});

test('the median of nothing is nothing', () => {
  expect(median([])).toBeUndefined();
  expect(median([3, 1, 2])).toBe(2);
});
