import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useQuery } from '@tanstack/react-query';
import { fleet, instancesOf, sampleOf, type Fleet, type FleetFunction } from '../../api/fleet';
import { count } from '../../format/money';
import { ago, clock } from '../../format/time';
import { DataTable, type Column } from '../../parts/DataTable';
import { Page } from '../../parts/Page';
import { Show } from '../../parts/states';
import { Breakers } from './Breakers';
import { FunctionTable } from './FunctionTable';
import { OwnStarts } from './OwnStarts';

/** The fleet between zero and many, as the engine sees it. */
export function FleetPage() {
  const read = useQuery(fleet());
  return (
    <Page
      title="Fleet"
      lead={
        read.data === undefined
          ? ' '
          : `Engine ${read.data.now.engine}, read at ${clock(read.data.now.read_at)}`
      }
    >
      <Show read={read} what="The fleet" rows={10}>
        {({ now, samples }) => {
          const first = samples[0] ?? sampleOf(now);
          const cold = sampleOf(now).coldStarts - first.coldStarts;
          return (
            <Box sx={{ display: 'grid', gap: 4, gridTemplateColumns: 'minmax(0, 1fr)' }}>
              <Summary fleet={now} />
              <OwnStarts fleet={now} all={cold} since={first.at} />
              <Breakers fleet={now} />
              <FunctionTable
                title="Functions"
                functions={now.functions.filter(({ kind }) => kind === 'FUNCTION')}
              />
              <FunctionTable
                title="Edge"
                functions={now.functions.filter(({ kind }) => kind === 'EDGE')}
              />
              <Jobs functions={now.functions.filter(({ kind }) => kind === 'JOB')} />
              <Missing fleet={now} />
            </Box>
          );
        }}
      </Show>
    </Page>
  );
}

function Summary({ fleet }: { readonly fleet: Fleet }) {
  const functions = fleet.functions.filter(({ kind }) => kind !== 'JOB');
  const warm = functions.filter((one) => instancesOf(one) > 0).length;
  return (
    <Typography role="status">
      <strong>{count(warm)}</strong> of {count(functions.length)} functions run;{' '}
      {count(functions.length - warm)} are at zero.
    </Typography>
  );
}

const JOBS: Column<FleetFunction>[] = [
  { name: 'Job', show: ({ name }) => name },
  { name: 'Schedule', show: ({ job }) => job?.schedule },
  { name: 'Last run', show: ({ job }) => time(job?.last_run_at) },
  {
    name: 'Next run',
    show: ({ job }) => (job?.running === true ? 'runs now' : time(job?.next_run_at)),
  },
  { name: 'Runs', align: 'right', show: ({ job }) => job?.runs ?? '–' },
  { name: 'Failures', align: 'right', show: ({ job }) => job?.failures ?? '–' },
];

function time(at: string | undefined): string {
  return at === undefined || at === '' ? '–' : ago(at);
}

function Jobs({ functions }: { readonly functions: readonly FleetFunction[] }) {
  if (functions.length === 0) return null;
  return (
    <Box component="section">
      <Typography variant="h2" sx={{ mb: 1 }}>
        Jobs
      </Typography>
      <DataTable label="Jobs" columns={JOBS} rows={functions} keyOf={({ name }) => name} />
    </Box>
  );
}

/** What the engine does not know, and how to get it. */
function Missing({ fleet }: { readonly fleet: Fleet }) {
  if (fleet.missing.length === 0) return null;
  return (
    <Alert severity="info" variant="outlined">
      This engine does not know everything:
      <Box component="ul" sx={{ m: 0, pl: 2.5 }}>
        {fleet.missing.map(({ field, how }) => (
          <li key={field}>
            <code>{field}</code>: {how}
          </li>
        ))}
      </Box>
    </Alert>
  );
}
