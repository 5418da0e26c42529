import { isUnderWay } from '../../api/orders';
import type { Order } from '../../api/types';

const MINUTE_MS = 60_000;

/** The orders of one minute, by what became of them. */
export interface Bucket {
  /** When the minute began, milliseconds since 1970. */
  readonly at: number;
  paid: number;
  failed: number;
  cancelled: number;
  underWay: number;
}

/** What became of an order. */
export function outcome({ status }: Order): 'paid' | 'failed' | 'cancelled' | 'underWay' {
  if (status === 'FAILED') return 'failed';
  if (status === 'CANCELLED') return 'cancelled';
  return isUnderWay(status) ? 'underWay' : 'paid';
}

/**
 * How many minutes a chart can show: `most`, or the full minutes that `orders` reach back, if older orders were
 * not read.
 */
export function minutesKnown(
  orders: readonly Order[],
  olderLeftOut: boolean,
  most: number,
  now: number,
): number {
  const oldest = orders.at(-1);
  if (!olderLeftOut || oldest === undefined) return most;
  const full = Math.ceil(Date.parse(oldest.created_at) / MINUTE_MS);
  const known = Math.floor(now / MINUTE_MS) - full + 1;
  return Math.min(Math.max(known, 1), most);
}

/** Counts orders minute by minute; the last minute is the one of `now`. */
export function byMinute(orders: readonly Order[], minutes: number, now: number): Bucket[] {
  const last = Math.floor(now / MINUTE_MS);
  const buckets = Array.from({ length: minutes }, (_, index): Bucket => {
    const at = (last - minutes + 1 + index) * MINUTE_MS;
    return { at, paid: 0, failed: 0, cancelled: 0, underWay: 0 };
  });
  for (const order of orders) {
    const minute = Math.floor(Date.parse(order.created_at) / MINUTE_MS);
    const bucket = buckets[minute - last + minutes - 1];
    if (bucket !== undefined) bucket[outcome(order)] += 1;
  }
  return buckets;
}

/** How long an order took from its record to its payment or its end, with when it began. */
export interface Latency {
  readonly at: number;
  readonly ms: number;
  readonly paid: boolean;
}

/**
 * The latencies of orders whose last change of status was the end of their saga. What was shipped, or
 * cancelled later, has another last change.
 */
export function latencies(orders: readonly Order[]): Latency[] {
  return orders
    .filter((order) => order.status === 'PAID' || order.status === 'FAILED')
    .map(({ created_at: created, updated_at: updated, status }) => ({
      at: Date.parse(created),
      ms: Date.parse(updated) - Date.parse(created),
      paid: status === 'PAID',
    }))
    .reverse();
}

/** The middle one of the values; undefined without any. */
export function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
