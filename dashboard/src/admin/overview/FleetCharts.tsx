import Box from '@mui/material/Box';
import { useQuery } from '@tanstack/react-query';
import { fleet, type Sample } from '../../api/fleet';
import { Show } from '../../parts/states';
import { Panel } from './Panel';
import { StepChart } from './StepChart';

/** Cold starts, instances and circuit breakers, as this page has seen them. */
export function FleetCharts() {
  const read = useQuery(fleet());
  return (
    <Show read={read} what="The fleet" rows={3}>
      {({ samples }) => (
        <Box
          sx={{
            display: 'grid',
            gap: 5,
            gridTemplateColumns: {
              xs: 'minmax(0, 1fr)',
              xl: 'repeat(2, minmax(0, 1fr))',
            },
          }}
        >
          <Panel title="Fleet" about="Instances, and cold starts since you opened operations">
            <StepChart
              samples={sinceOpened(samples)}
              series={[
                { key: 'instances', name: 'Instances', color: 'success' },
                { key: 'coldStarts', name: 'Cold starts', color: 'info' },
              ]}
            />
          </Panel>
          <Panel
            title="Circuit breakers and errors"
            about="Breakers that are not closed, and errors since you opened operations"
          >
            <StepChart
              samples={sinceOpened(samples)}
              series={[
                { key: 'open', name: 'Breakers not closed', color: 'error' },
                { key: 'errors', name: 'Errors', color: 'warning' },
              ]}
            />
          </Panel>
        </Box>
      )}
    </Show>
  );
}

/** Counters from the first sample on. */
function sinceOpened(samples: readonly Sample[]): Sample[] {
  const [first] = samples;
  return samples.map((sample) => ({
    ...sample,
    coldStarts: sample.coldStarts - (first?.coldStarts ?? 0),
    errors: sample.errors - (first?.errors ?? 0),
  }));
}
