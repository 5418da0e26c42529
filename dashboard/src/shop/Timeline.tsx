import Box from '@mui/material/Box';
import CircularProgress from '@mui/material/CircularProgress';
import Typography from '@mui/material/Typography';
import type { components } from '../api/schema';
import { clock, dateTime } from '../format/time';
import { CheckIcon, CrossIcon } from '../parts/icons';

type Event = components['schemas']['OrderEvent'];

/** The word of an event for people; another one is shown as it is. */
const WORDS: Record<string, string> = {
  placed: 'Order placed',
  'stock reserved': 'Stock reserved',
  paid: 'Paid',
  shipped: 'Shipped',
  delivered: 'Delivered',
  refunded: 'Refunded',
  'charge undone': 'No charge stands',
  'stock returned': 'Stock returned',
  cancelled: 'Cancelled',
  failed: 'Not completed',
};

const DOING: Record<string, string> = {
  'reserving stock': 'Reserving the stock …',
  charging: 'Charging the payment …',
  refunding: 'Refunding …',
  'returning stock': 'Returning the stock …',
};

interface Props {
  readonly events: readonly Event[];
  /** What is being done now. */
  readonly doing: string;
}

/** What became of an order, in the order in which it happened. */
export function Timeline({ events, doing }: Props) {
  const today = new Date().toDateString();
  return (
    <Box
      component="ol"
      aria-live="polite"
      sx={{
        listStyle: 'none',
        p: 0,
        m: 0,
        '& li': { position: 'relative', pl: 4.5, pb: 2.25 },
        '& li:not(:last-of-type)::before': {
          content: '""',
          position: 'absolute',
          left: 11,
          top: 24,
          bottom: 0,
          borderLeft: 1,
          borderColor: 'divider',
        },
      }}
    >
      {events.map(({ event, at, reason }, index) => {
        const bad = event === 'failed' || event === 'cancelled';
        const sameDay = at !== '' && new Date(at).toDateString() === today;
        return (
          <li key={`${event} ${at} ${index}`}>
            <Dot color={bad ? 'text.secondary' : 'success.main'}>
              {bad ? <CrossIcon sx={{ fontSize: 14 }} /> : <CheckIcon sx={{ fontSize: 14 }} />}
            </Dot>
            <Typography sx={{ fontWeight: 500 }}>{WORDS[event] ?? event}</Typography>
            <Typography variant="body2" color="textSecondary">
              {at === '' ? 'time not recorded' : sameDay ? clock(at) : dateTime(at)}
              {reason !== '' && ` · ${reason}`}
            </Typography>
          </li>
        );
      })}
      {doing !== '' && (
        <li>
          <Dot color="transparent">
            <CircularProgress size={18} thickness={5} color="warning" aria-label="Under way" />
          </Dot>
          <Typography sx={{ fontWeight: 500 }}>{DOING[doing] ?? doing}</Typography>
        </li>
      )}
    </Box>
  );
}

function Dot({ color, children }: { readonly color: string; readonly children: React.ReactNode }) {
  return (
    <Box
      aria-hidden={color !== 'transparent'}
      sx={{
        position: 'absolute',
        left: 0,
        top: 0,
        width: 23,
        height: 23,
        borderRadius: '50%',
        display: 'grid',
        placeItems: 'center',
        color: 'background.default',
        bgcolor: color,
      }}
    >
      {children}
    </Box>
  );
}
