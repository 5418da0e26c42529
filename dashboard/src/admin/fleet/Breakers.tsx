import Box from '@mui/material/Box';
import Chip from '@mui/material/Chip';
import Typography from '@mui/material/Typography';
import type { Fleet } from '../../api/fleet';

const STATES = {
  FLEET_BREAKER_STATE_UNSPECIFIED: { text: 'unknown', color: 'default' },
  CLOSED: { text: 'closed', color: 'success' },
  HALF_OPEN: { text: 'half-open', color: 'warning' },
  OPEN: { text: 'open', color: 'error' },
} as const;

/** Circuit breakers whose state has changed since the engine started. */
export function Breakers({ breakers }: { readonly breakers: Fleet['breakers'] }) {
  return (
    <Box component="section">
      <Typography variant="h2" sx={{ mb: 1 }}>
        Circuit breakers
      </Typography>
      {breakers.length === 0 ? (
        <Typography variant="body2" color="textSecondary">
          All are closed, and none has changed since the engine started.
        </Typography>
      ) : (
        <Box
          component="ul"
          sx={{
            listStyle: 'none',
            m: 0,
            p: 0,
            display: 'flex',
            gap: 1,
            flexWrap: 'wrap',
          }}
        >
          {breakers.map(({ name, state }) => {
            const { text, color } = STATES[state];
            return (
              <li key={name}>
                <Chip size="small" variant="outlined" color={color} label={`${name}: ${text}`} />
              </li>
            );
          })}
        </Box>
      )}
    </Box>
  );
}
