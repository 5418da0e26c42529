import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { newestOrder } from '../api/orders';

/** How often the order is looked for while it is placed, milliseconds. */
const LOOK_MS = 700;

/**
 * The id of the order that is being placed, as soon as it is recorded.
 *
 * The answer to `POST /orders` comes when the saga has ended. The order is in the list of its user from the
 * saga's first step on.
 */
export function useFollow(userId: string, placing: boolean): string | undefined {
  const { data: newest } = useQuery({
    ...newestOrder(userId),
    staleTime: 0,
    refetchInterval: placing ? LOOK_MS : false,
  });
  // The newest order before this one; undefined until it is known whether there is one.
  const [before, setBefore] = useState<string | null>();
  if (!placing && newest !== undefined && before !== (newest?.id ?? null)) {
    setBefore(newest?.id ?? null);
  }
  if (!placing || before === undefined || newest == null || newest.id === before) return undefined;
  return newest.id;
}
