import { useQuery } from '@tanstack/react-query';
import { hasEnded, isUnderWay, order, timeline } from '../api/orders';
import { whileUnreachable } from '../api/queries';
import type { Query } from '@tanstack/react-query';

const FIRST_MS = 400;
const LONGEST_MS = 5000;
/** How often an order is read whose saga has ended, but which can still be shipped or cancelled. */
const RESTING_MS = 20_000;
/** How often its customer's page reads the order itself while its saga works: if nobody drives it, that finishes it. */
const DRIVING_MS = 8000;

/** The pause before the next look at a saga: longer each time, milliseconds. */
export function lookAgain(looks: number): number {
  return Math.min(FIRST_MS * 1.25 ** looks, LONGEST_MS);
}

/**
 * The timeline of an order, read again while it may change and the page is visible. Unless it `drivesOn`, to look
 * at an order changes nothing.
 *
 * No stream: it would hold a function up for every page that is open.
 */
export function usePolled(id: string, { drivesOn }: { readonly drivesOn: boolean }) {
  const read = useQuery({
    ...timeline(id),
    staleTime: 0,
    refetchInterval: (query) => {
      const order = query.state.data?.order;
      if (order === undefined) return whileUnreachable(query as unknown as Query);
      if (hasEnded(order)) return false;
      return isUnderWay(order.status) ? lookAgain(query.state.dataUpdateCount) : RESTING_MS;
    },
  });
  const isDriven = drivesOn && read.data !== undefined && isUnderWay(read.data.order.status);
  useQuery({ ...order(id), enabled: isDriven, refetchInterval: isDriven ? DRIVING_MS : false });
  return read;
}
