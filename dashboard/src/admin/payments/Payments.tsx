import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useSetProvider } from '../../api/payments';
import type { ProviderFailure } from '../../api/types';
import { percent } from '../../format/money';
import { duration } from '../../format/time';
import { Page } from '../../parts/Page';
import { FAILURES } from './failures';
import { ProviderForm } from './ProviderForm';

/** How the simulated payment provider behaves, for every instance at once. */
export function Payments() {
  const set = useSetProvider();
  return (
    <Page
      title="Payment provider"
      lead="The provider is a simulator. What you set holds for every instance at once."
    >
      <Box
        sx={{
          display: 'grid',
          gap: 5,
          gridTemplateColumns: {
            xs: 'minmax(0, 1fr)',
            lg: 'minmax(0, 520px) minmax(0, 380px)',
          },
          alignItems: 'start',
        }}
      >
        <ProviderForm
          error={set.error}
          isPending={set.isPending}
          onSend={(body) => set.mutate(body)}
        />
        <Box component="section" aria-labelledby="now" role="status">
          <Typography variant="h2" id="now" sx={{ mb: 1.5 }}>
            Now
          </Typography>
          {set.data === undefined ? (
            <Alert severity="info" variant="outlined">
              The API tells the settings only as the answer to a change. Set them to see them. At
              the first start, 30&nbsp;% of the charges fail, and a charge takes 1 to 3&nbsp;s.
            </Alert>
          ) : (
            <Present
              rate={set.data.failure_rate}
              min={set.data.min_delay_ms}
              max={set.data.max_delay_ms}
              failures={set.data.failures as ProviderFailure[]}
            />
          )}
        </Box>
      </Box>
    </Page>
  );
}

interface PresentProps {
  readonly rate: number;
  readonly min: number;
  readonly max: number;
  readonly failures: readonly ProviderFailure[];
}

function Present({ rate, min, max, failures }: PresentProps) {
  const names = FAILURES.filter(({ value }) => failures.includes(value)).map(({ text }) => text);
  return (
    <Typography component="div">
      <strong>{percent(rate)}</strong> of the charges fail.
      <br />A charge takes <strong>{duration(min)}</strong> to <strong>{duration(max)}</strong>.
      <br />
      Kinds of failure: {names.join(', ').toLowerCase()}.
    </Typography>
  );
}
