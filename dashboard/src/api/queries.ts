import { QueryClient, type Query } from '@tanstack/react-query';
import { Failure, pause, triesAgain } from './problem';

/** How often a read that got no answer is tried again, milliseconds. */
const UNREACHABLE_MS = 3000;

/** When to read again by itself: only after nothing answered. */
export function whileUnreachable(query: Query): number | false {
  const { error, status } = query.state;
  const unreachable = error instanceof Failure && error.kind === 'unreachable';
  return status === 'error' && unreachable ? UNREACHABLE_MS : false;
}

/** What was read, and the session. In memory only: a reload forgets it. */
export const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // The answer tells whether there is a network. The browser often does not know.
      networkMode: 'always',
      staleTime: 5000,
      retry: triesAgain,
      retryDelay: pause,
      refetchInterval: (query) => whileUnreachable(query),
    },
    mutations: { networkMode: 'always', retry: triesAgain, retryDelay: pause },
  },
});
