import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { howToGet, type Fleet } from '../../api/fleet';
import { useOwnRequests, type Start } from '../../api/requests';
import { count, counted } from '../../format/money';
import { clock, duration } from '../../format/time';
import { DataTable, type Column } from '../../parts/DataTable';

const COLUMNS: Column<Start>[] = [
  { name: 'Started', show: ({ name }) => name },
  { name: 'Took', align: 'right', show: ({ ms }) => duration(ms) },
  {
    name: 'Because of',
    show: ({ route }) => route,
  },
  { name: 'At', align: 'right', show: ({ at }) => clock(at) },
];

/** The newest starts that are shown. */
const SHOWN = 10;

interface Props {
  readonly fleet: Fleet;
  /** Cold starts of all since this page began to watch. */
  readonly all: number;
  readonly since: number;
}

/** The cold starts that requests of this page caused, beside those of everybody. */
export function OwnStarts({ fleet, all, since }: Props) {
  const { starts } = useOwnRequests();
  const others =
    howToGet(fleet, 'cold_starts') === undefined
      ? `Since you opened operations at ${clock(since)}, all requests together caused ${counted(all, 'start', 'starts')} from zero.`
      : '';
  return (
    <Box component="section" aria-labelledby="own-starts">
      <Typography variant="h2" id="own-starts">
        {fleet.engine === 'local'
          ? `This page caused ${counted(starts.length, 'cold start', 'cold starts')}`
          : 'Cold starts of this page'}
      </Typography>
      <Typography variant="body2" color="textSecondary" sx={{ mb: starts.length === 0 ? 0 : 1.5 }}>
        {fleet.engine === 'local'
          ? `Counted are the starts that requests of this page needed, also in functions that were called for them. ${others}`
          : `This engine does not say which request caused a start, so this page cannot count its own. ${others}`}
      </Typography>
      {starts.length > 0 && (
        <DataTable
          label="Cold starts that this page caused"
          columns={COLUMNS}
          rows={starts.slice(-SHOWN).toReversed()}
          keyOf={({ name, at, ms }) => `${name} ${at} ${ms}`}
        />
      )}
      {starts.length > SHOWN && (
        <Typography variant="caption" color="textSecondary" component="p" sx={{ mt: 1 }}>
          The newest {SHOWN} of {count(starts.length)}.
        </Typography>
      )}
    </Box>
  );
}
