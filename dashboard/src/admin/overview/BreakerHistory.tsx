import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import type { Sample } from '../../api/fleet';
import { clock } from '../../format/time';
import { BREAKER_STATES, history, type Stay } from '../breakers';

const PAINT = {
  default: 'text.secondary',
  success: 'success.main',
  warning: 'warning.main',
  error: 'error.main',
} as const;

/** A bar for each circuit breaker: its states over the time that this page has seen. */
export function BreakerHistory({ samples }: { readonly samples: readonly Sample[] }) {
  const breakers = history(samples);
  const first = samples[0]?.at ?? 0;
  const last = samples.at(-1)?.at ?? first;
  if (breakers.size === 0) {
    return (
      <Typography variant="body2">
        All are closed, and none has changed since the engine started.
      </Typography>
    );
  }
  return (
    <Box>
      <Box component="ul" sx={{ listStyle: 'none', m: 0, p: 0, display: 'grid', gap: 2 }}>
        {Array.from(breakers, ([name, stays]) => (
          <Row key={name} name={name} stays={stays} first={first} whole={last - first} />
        ))}
      </Box>
      <Box sx={{ display: 'flex', justifyContent: 'space-between', mt: 0.5 }}>
        {[first, last].map((at, end) => (
          <Typography key={end} variant="caption" color="textSecondary">
            {clock(at)}
          </Typography>
        ))}
      </Box>
    </Box>
  );
}

interface RowProps {
  readonly name: string;
  readonly stays: readonly Stay[];
  readonly first: number;
  readonly whole: number;
}

function Row({ name, stays, first, whole }: RowProps) {
  const present = stays.at(-1);
  const { text, color } = BREAKER_STATES[present?.state ?? 'CLOSED'];
  const since =
    present === undefined || present.from === first ? '' : ` since ${clock(present.from)}`;
  const share = (ms: number) => (whole === 0 ? 100 : (ms / whole) * 100);
  return (
    <Box component="li">
      <Box sx={{ display: 'flex', justifyContent: 'space-between', gap: 2, mb: 0.5 }}>
        <Typography variant="body2">{name}</Typography>
        <Typography variant="body2" sx={{ color: PAINT[color] }}>
          {text}
          {since}
        </Typography>
      </Box>
      <Box sx={{ display: 'flex', height: 12, borderRadius: 0.5, overflow: 'hidden' }}>
        {stays.map((stay) => (
          <Box
            key={stay.from}
            title={`${BREAKER_STATES[stay.state].text}, ${clock(stay.from)} to ${clock(stay.until)}`}
            sx={{
              width: `${share(stay.until - stay.from)}%`,
              bgcolor: PAINT[BREAKER_STATES[stay.state].color],
            }}
          />
        ))}
      </Box>
    </Box>
  );
}
