import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { instancesOf, type FleetFunction } from '../../api/fleet';
import { count } from '../../format/money';
import { ago, duration } from '../../format/time';
import { DataTable, type Column } from '../../parts/DataTable';

/** A count that an engine may not know. */
function known(value: number | null | undefined): string {
  return value == null ? '–' : count(value);
}

const COLUMNS: Column<FleetFunction>[] = [
  { name: 'Function', show: ({ name }) => name },
  { name: 'State', show: (one) => <State function={one} /> },
  { name: 'Requests', align: 'right', show: ({ requests }) => known(requests) },
  { name: 'Errors', align: 'right', show: ({ errors }) => known(errors) },
  { name: 'Cold starts', align: 'right', show: ({ cold_starts: cold }) => known(cold) },
  {
    name: 'Last start',
    align: 'right',
    show: ({ last_start_ms: ms, last_started_at: at }) => (
      <span style={{ whiteSpace: 'nowrap' }}>
        {ms == null ? '–' : duration(ms)}
        {at !== '' && `, ${ago(at)}`}
      </span>
    ),
  },
  { name: 'Crashes', align: 'right', show: ({ crashes }) => known(crashes) },
];

interface Props {
  readonly title: string;
  readonly functions: readonly FleetFunction[];
}

/** Functions: those that run first, then those at zero. */
export function FunctionTable({ title, functions }: Props) {
  const rows = functions.toSorted((a, b) => Number(isAtZero(a)) - Number(isAtZero(b)));
  return (
    <Box component="section">
      <Typography variant="h2" sx={{ mb: 1 }}>
        {title}
      </Typography>
      <DataTable label={title} columns={COLUMNS} rows={rows} keyOf={({ name }) => name} />
    </Box>
  );
}

function isAtZero(one: FleetFunction): boolean {
  return instancesOf(one) === 0 && (one.instances?.draining ?? 0) === 0;
}

/** A dot for each instance, and the state in words. */
function State({ function: one }: { readonly function: FleetFunction }) {
  const { starting = 0, ready = 0, draining = 0 } = one.instances ?? {};
  const parts = [
    { number: ready, text: 'warm', color: 'success.main' },
    { number: starting, text: 'starting', color: 'warning.main' },
    { number: draining, text: 'draining', color: 'text.secondary' },
  ].filter(({ number }) => number > 0);
  if (parts.length === 0) {
    return (
      <Typography component="span" variant="body2" color="textSecondary">
        at zero
      </Typography>
    );
  }
  return (
    <Box component="span" sx={{ display: 'inline-flex', gap: 1, alignItems: 'center' }}>
      {parts.map(({ number, text, color }) => (
        <Box
          key={text}
          component="span"
          sx={{
            display: 'inline-flex',
            gap: 0.5,
            alignItems: 'center',
            whiteSpace: 'nowrap',
          }}
        >
          {Array.from({ length: number }, (_, dot) => (
            <Box
              key={dot}
              component="span"
              sx={{ width: 8, height: 8, borderRadius: '50%', bgcolor: color }}
            />
          ))}
          {number > 1 && number} {text}
        </Box>
      ))}
    </Box>
  );
}
