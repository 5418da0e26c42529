import Box from '@mui/material/Box';
import { useQuery } from '@tanstack/react-query';
import { fleet, howToGet, type Sample } from '../../api/fleet';
import { Show } from '../../parts/states';
import { NoSource } from '../NoSource';
import { BreakerHistory } from './BreakerHistory';
import { Panel, PANELS } from './Panel';
import { StepChart } from './StepChart';

/** Instances, cold starts, errors and circuit breakers, as this page has seen them. */
export function FleetCharts() {
  const read = useQuery(fleet());
  return (
    <Show read={read} what="The fleet" rows={3}>
      {({ now, samples }) => {
        const noStarts = howToGet(now, 'cold_starts');
        const noErrors = howToGet(now, 'errors');
        const noBreakers = howToGet(now, 'breakers');
        const counts = sinceOpened(samples);
        return (
          <Box sx={PANELS}>
            <Panel title="Instances" about="Started or taking requests, of all functions together">
              <StepChart
                samples={counts}
                series={{ key: 'instances', name: 'Instances', color: 'success' }}
              />
            </Panel>
            <Panel title="Cold starts" about="Starts from zero since you opened operations">
              {noStarts === undefined ? (
                <StepChart
                  samples={counts}
                  series={{ key: 'coldStarts', name: 'Cold starts', color: 'info' }}
                />
              ) : (
                <NoSource what="Cold starts are" how={noStarts} />
              )}
            </Panel>
            <Panel
              title="Circuit breakers"
              about="The state of each that has changed since the engine started"
            >
              {noBreakers === undefined ? (
                <BreakerHistory samples={samples} />
              ) : (
                <NoSource what="Circuit breakers are" how={noBreakers} />
              )}
            </Panel>
            <Panel
              title="Errors"
              about="Calls that a failure of the system ended, since you opened operations"
            >
              {noErrors === undefined ? (
                <StepChart
                  samples={counts}
                  series={{ key: 'errors', name: 'Errors', color: 'error' }}
                />
              ) : (
                <NoSource what="Errors are" how={noErrors} />
              )}
            </Panel>
          </Box>
        );
      }}
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
