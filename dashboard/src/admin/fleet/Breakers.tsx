import Box from '@mui/material/Box';
import Chip from '@mui/material/Chip';
import Typography from '@mui/material/Typography';
import { howToGet, type Fleet } from '../../api/fleet';
import { BREAKER_STATES } from '../breakers';
import { NoSource } from '../NoSource';

/** Circuit breakers whose state has changed since the engine started. */
export function Breakers({ fleet }: { readonly fleet: Fleet }) {
  return (
    <Box component="section" aria-labelledby="breakers">
      <Typography variant="h2" id="breakers" sx={{ mb: 1 }}>
        Circuit breakers
      </Typography>
      <Content fleet={fleet} />
    </Box>
  );
}

function Content({ fleet }: { readonly fleet: Fleet }) {
  const how = howToGet(fleet, 'breakers');
  if (how !== undefined) return <NoSource what="Circuit breakers are" how={how} />;
  if (fleet.breakers.length === 0) {
    return (
      <Typography variant="body2" color="textSecondary">
        All are closed, and none has changed since the engine started.
      </Typography>
    );
  }
  return (
    <Box
      component="ul"
      sx={{ listStyle: 'none', m: 0, p: 0, display: 'flex', gap: 1, flexWrap: 'wrap' }}
    >
      {fleet.breakers.map(({ name, state }) => {
        const { text, color } = BREAKER_STATES[state];
        return (
          <li key={name}>
            <Chip size="small" variant="outlined" color={color} label={`${name}: ${text}`} />
          </li>
        );
      })}
    </Box>
  );
}
