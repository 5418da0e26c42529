import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { clock, duration } from '../../format/time';
import { DataTable, type Column } from '../../parts/DataTable';
import { Empty } from '../../parts/states';
import { MONOSPACE } from '../../theme/theme';
import { useNow } from '../useNow';
import { BACK, lasted, placed, type Step } from './saga';

const UNDOING = BACK.map(({ step }) => step);

/** Every step that was begun, with its place in the time of the saga. */
export function StepTable({ steps }: { readonly steps: readonly Step[] }) {
  const underWay = steps.some(({ ended_at: ended }) => ended === '');
  const now = useNow(underWay ? 500 : undefined);
  if (steps.length === 0) return <Empty title="No step was begun yet" />;
  const columns: Column<Step>[] = [
    { name: 'Step', show: ({ step }) => step },
    { name: 'Time', show: (step) => <Bar step={step} steps={steps} now={now} /> },
    { name: 'Took', align: 'right', show: (step) => duration(lasted(step, now)) },
    { name: 'Outcome', show: ({ outcome }) => (outcome === '' ? 'under way' : outcome) },
    {
      name: 'Driver',
      show: ({ driver, fence }) => (driver === '' ? fence : `${driver} (${fence})`),
    },
    { name: 'Attempt', align: 'right', show: ({ attempt }) => attempt },
    { name: 'Reason', wraps: true, show: ({ reason }) => reason },
    {
      name: 'Trace',
      show: ({ trace_id: id }) => (
        <Typography variant="caption" sx={{ fontFamily: MONOSPACE, whiteSpace: 'nowrap' }}>
          {id.slice(0, 8)}
        </Typography>
      ),
    },
  ];
  return (
    <>
      <DataTable
        label="Steps"
        columns={columns}
        rows={steps}
        keyOf={({ number }) => String(number)}
      />
      <Typography variant="caption" color="textSecondary" component="p" sx={{ mt: 1 }}>
        The driver’s number is its fence: each driver that takes the order over has a higher one. On
        the local engine, <code>cargo zerocart trace</code> shows a trace.
      </Typography>
    </>
  );
}

interface BarProps {
  readonly step: Step;
  readonly steps: readonly Step[];
  readonly now: number;
}

function Bar({ step, steps, now }: BarProps) {
  const { from, length } = placed(step, steps, now);
  const bad = step.outcome !== '' && step.outcome !== 'done';
  const color = bad ? 'error.main' : step.outcome === '' ? 'warning.main' : 'success.main';
  return (
    <Box sx={{ minWidth: 160 }}>
      <Box sx={{ position: 'relative', height: 8, bgcolor: 'action.hover', borderRadius: 1 }}>
        <Box
          sx={{
            position: 'absolute',
            left: `${from * 100}%`,
            width: `max(3px, ${length * 100}%)`,
            height: '100%',
            borderRadius: 1,
            bgcolor: color,
            opacity: UNDOING.includes(step.step) ? 0.6 : 1,
          }}
        />
      </Box>
      <Typography variant="caption" color="textSecondary">
        {clock(step.began_at)}
      </Typography>
    </Box>
  );
}
