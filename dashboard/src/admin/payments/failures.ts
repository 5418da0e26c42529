import type { ProviderFailure } from '../../api/types';

/** How a charge can fail, and what that means. */
export const FAILURES: { value: ProviderFailure; text: string; meaning: string }[] = [
  {
    value: 'GATEWAY_TIMEOUT',
    text: 'Gateway timeout',
    meaning: 'No answer in time. The charge may have happened, so the saga undoes it.',
  },
  {
    value: 'INSUFFICIENT_FUNDS',
    text: 'Insufficient funds',
    meaning: 'Declined. This is an answer, and does not open the circuit breaker.',
  },
  {
    value: 'TEMPORARILY_UNAVAILABLE',
    text: 'Temporarily unavailable',
    meaning: 'The provider refuses to work. Three orders in a row open the circuit breaker.',
  },
];
