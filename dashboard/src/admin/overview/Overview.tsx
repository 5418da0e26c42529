import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useInfiniteQuery } from '@tanstack/react-query';
import { orders } from '../../api/orders';
import type { Order } from '../../api/types';
import { amount, count, counted, percent } from '../../format/money';
import { duration } from '../../format/time';
import { Page } from '../../parts/Page';
import { Empty, Show } from '../../parts/states';
import { useNow } from '../useNow';
import { byMinute, latencies, median, minutesKnown, outcome } from './buckets';
import { FleetCharts } from './FleetCharts';
import { LatencyPanel } from './LatencyPanel';
import { OrdersChart } from './OrdersChart';
import { Panel, PANELS } from './Panel';

/** The newest orders that the charts show: the longest page of the API. */
const NEWEST = 100;
/** How often they are read again while the page is visible, milliseconds. */
const AGAIN_MS = 5000;
/** Minutes in the chart of orders. */
const MINUTES = 30;

/** The shop at a glance. */
export default function Overview() {
  const read = useInfiniteQuery({ ...orders({}, NEWEST), refetchInterval: AGAIN_MS });
  return (
    <Page title="Overview">
      <Box sx={{ display: 'grid', gap: 5, gridTemplateColumns: 'minmax(0, 1fr)' }}>
        <Show read={read} what="The newest orders" rows={6}>
          {({ pages }) => <OfOrders orders={pages[0]?.orders ?? []} />}
        </Show>
        <FleetCharts />
      </Box>
    </Page>
  );
}

function OfOrders({ orders }: { readonly orders: readonly Order[] }) {
  const now = useNow(AGAIN_MS);
  if (orders.length === 0) {
    return <Empty title="There are no orders yet">Charts appear with the first one.</Empty>;
  }
  const times = latencies(orders);
  const paid = orders.filter((order) => outcome(order) === 'paid');
  const middle = median(times.filter((time) => time.paid).map(({ ms }) => ms));
  const ended = orders.filter((order) => outcome(order) !== 'underWay');
  const minutes = minutesKnown(orders, orders.length === NEWEST, MINUTES, now);
  const whole = orders.length === NEWEST ? `of the newest ${NEWEST} orders` : 'of all orders';
  const numbers = [
    { name: 'Orders', value: count(orders.length), about: whole },
    {
      name: 'Completed',
      value: ended.length === 0 ? '–' : percent(paid.length / ended.length),
      about: 'paid, of those that ended',
    },
    {
      name: 'Paid for',
      value: amount(paid.reduce((sum, { total_amount: total }) => sum + total, 0)),
      about: whole,
    },
    {
      name: 'Placed to paid',
      value: middle === undefined ? '–' : duration(middle),
      about: 'median',
    },
  ];
  return (
    <Box sx={{ display: 'grid', gap: 4, gridTemplateColumns: 'minmax(0, 1fr)' }}>
      <Box
        component="dl"
        sx={{
          m: 0,
          display: 'grid',
          gap: 3,
          gridTemplateColumns: 'repeat(auto-fit, minmax(150px, 1fr))',
          borderBlock: 1,
          borderColor: 'divider',
          py: 2,
        }}
      >
        {numbers.map(({ name, value, about }) => (
          <Box key={name}>
            <Typography component="dt" variant="body2" color="textSecondary">
              {name}
            </Typography>
            <Typography
              component="dd"
              sx={{
                m: 0,
                fontSize: '1.5rem',
                fontWeight: 600,
                letterSpacing: '-0.02em',
                fontVariantNumeric: 'tabular-nums',
              }}
            >
              {value}
            </Typography>
            <Typography component="dd" variant="caption" color="textSecondary" sx={{ m: 0 }}>
              {about}
            </Typography>
          </Box>
        ))}
      </Box>
      <Box sx={PANELS}>
        <Panel
          title="Orders per minute"
          about={`By outcome, the last ${counted(minutes, 'minute', 'minutes')}${minutes < MINUTES ? `: so far back reach the newest ${NEWEST}` : ''}`}
        >
          <OrdersChart buckets={byMinute(orders, minutes, now)} />
        </Panel>
        <LatencyPanel orders={orders} />
      </Box>
    </Box>
  );
}
