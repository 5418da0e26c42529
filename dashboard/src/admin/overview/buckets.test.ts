import { describe, expect, test } from 'vitest';
import type { Order, OrderStatus } from '../../api/types';
import { byMinute, latencies, median } from './buckets';

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

test('latencies are those of sagas that ended with the last change of status', () => {
  const made = [
    order('PAID', '2026-11-28T12:00:01Z', '2026-11-28T12:00:03.5Z'),
    order('SHIPPED', '2026-11-28T12:00:00Z', '2026-11-28T13:00:00Z'),
    order('FAILED', '2026-11-28T12:00:00Z', '2026-11-28T12:00:01Z'),
  ];
  expect(latencies(made).map(({ seconds, paid }) => [seconds, paid])).toEqual([
    [1, false],
    [2.5, true],
  ]);
});

test('the median of nothing is nothing', () => {
  expect(median([])).toBeUndefined();
  expect(median([3, 1, 2])).toBe(2);
});
