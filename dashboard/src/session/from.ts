import { useLocation, type Location } from 'react-router';

/** Where the person wanted to go before the sign-in. */
export function useFrom(): Partial<Location> | undefined {
  const state: unknown = useLocation().state;
  if (typeof state !== 'object' || state === null || !('from' in state)) return undefined;
  const { from } = state;
  return typeof from === 'object' && from !== null ? from : undefined;
}
