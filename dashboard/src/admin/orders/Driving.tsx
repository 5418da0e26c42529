import Alert from '@mui/material/Alert';
import type { components } from '../../api/schema';
import { ago } from '../../format/time';

export type Drive = components['schemas']['OrderDriving'];

/** Who drives an order that has not ended, and when it is tried again. */
export function Driving({ driving }: { readonly driving: Drive }) {
  const { step, driver, fence, tries, lease_until: until, stuck } = driving;
  const who = driver === '' ? 'A driver of an earlier version' : driver;
  return (
    <Alert severity={stuck ? 'warning' : 'info'} variant="outlined" sx={{ mb: 2 }}>
      {stuck
        ? `Nobody drives this order. The next step is ${step}; it was put off ${times(tries)}, and may be tried ${ago(until)}.`
        : `${who} drives this order (driver ${fence}). The step is ${step}; its lease ends ${ago(until)}.`}
    </Alert>
  );
}

function times(tries: number): string {
  return tries === 1 ? 'once' : `${tries} times`;
}
