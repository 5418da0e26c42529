import { useMutation, type UseMutationResult } from '@tanstack/react-query';
import { useRef } from 'react';
import { Failure, isRepeatable } from './problem';

/** A key that no other request has. (`crypto.randomUUID` is missing on a page without TLS.) */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * A request that writes, under an idempotency key.
 *
 * The key belongs to what is written: the same values keep it, also when they are sent again after an answer
 * that was lost, and other values get another. A certain answer, good or bad, ends it: what comes next is a
 * new request.
 */
export function useWrite<V, R>(
  write: (values: V, key: string) => Promise<R>,
  then?: (result: R, values: V) => unknown,
): UseMutationResult<R, Error, V> {
  const sent = useRef<{ values: string; key: string }>(undefined);
  return useMutation({
    mutationFn: async (values: V) => {
      const text = JSON.stringify(values);
      if (sent.current?.values !== text) sent.current = { values: text, key: newKey() };
      const { key } = sent.current;
      try {
        const result = await write(values, key);
        sent.current = undefined;
        return result;
      } catch (error) {
        // After a sign-in, the same request goes on under the same key.
        const expired = error instanceof Failure && error.status === 401;
        if (!isRepeatable(error) && !expired) sent.current = undefined;
        throw error;
      }
    },
    onSuccess: (result, values) => then?.(result, values),
  });
}
