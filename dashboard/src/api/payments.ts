import { client, data, under } from './client';
import type { components } from './schema';
import { useWrite } from './useWrite';

/** Sets how the simulated payment provider behaves; the answer says how it does now. */
export function useSetProvider() {
  return useWrite((body: components['schemas']['SetFailureRateRequest'], key) =>
    data(client.POST('/admin/failure-rate', { params: { header: under(key) }, body })),
  );
}
