import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Typography from '@mui/material/Typography';
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { useSearchParams } from 'react-router';
import { orders, type OrderFilter } from '../../api/orders';
import type { OrderStatus } from '../../api/types';
import { statusText } from '../../order/Status';
import { Choice } from '../../parts/Choice';
import { More } from '../../parts/More';
import { Page } from '../../parts/Page';
import { Empty, Show } from '../../parts/states';
import { OrderTable } from './OrderTable';

/** How often the lists are read again while the page is visible, milliseconds. */
const AGAIN_MS = 10_000;

const STATUSES: OrderStatus[] = [
  'PENDING',
  'PROCESSING',
  'PAID',
  'SHIPPED',
  'DELIVERED',
  'CANCELLED',
  'FAILED',
];

const OPTIONS: { value: OrderStatus | 'ALL'; text: string }[] = [
  { value: 'ALL', text: 'Every status' },
  ...STATUSES.map((status) => ({ value: status, text: statusText(status) })),
];

/** The orders of all users. Those that nobody drives come first. */
export function AdminOrders() {
  const [params, setParams] = useSearchParams();
  const status = STATUSES.find((known) => known === params.get('status'));
  const user = params.get('user') ?? '';
  const filter: OrderFilter = {
    ...(status === undefined ? {} : { status }),
    ...(user === '' ? {} : { user_id: user }),
  };
  const read = useInfiniteQuery({
    ...orders(filter),
    placeholderData: keepPreviousData,
    refetchInterval: AGAIN_MS,
  });
  const set = (name: string, value: string) =>
    setParams((before) => {
      const after = new URLSearchParams(before);
      if (value === '') after.delete(name);
      else after.set(name, value);
      return after;
    });
  return (
    <Page
      title="Orders"
      actions={
        <Choice
          label="Status"
          value={status ?? 'ALL'}
          options={OPTIONS}
          onChoose={(chosen) => set('status', chosen === 'ALL' ? '' : chosen)}
        />
      }
    >
      <Stuck filter={filter} />
      {user !== '' && (
        <Box sx={{ mb: 2, display: 'flex', gap: 2, alignItems: 'center', flexWrap: 'wrap' }}>
          <Typography variant="body2">Only the orders of user {user}</Typography>
          <Button size="small" onClick={() => set('user', '')}>
            Show those of all users
          </Button>
        </Box>
      )}
      <Show read={read} what="The orders" rows={8}>
        {({ pages }) => {
          const all = pages.flatMap((page) => page.orders);
          return all.length === 0 ? (
            <Empty title="There are no such orders" />
          ) : (
            <>
              <OrderTable label="Orders" orders={all} />
              <More {...read} />
            </>
          );
        }}
      </Show>
    </Page>
  );
}

/** Orders that have not ended and that nobody drives; nothing while there are none. */
function Stuck({ filter }: { readonly filter: OrderFilter }) {
  const { data } = useInfiniteQuery({
    ...orders({ ...filter, stuck: true }),
    refetchInterval: AGAIN_MS,
  });
  const stuck = data?.pages.flatMap((page) => page.orders) ?? [];
  if (stuck.length === 0) return null;
  return (
    <Box component="section" aria-labelledby="stuck" sx={{ mb: 5 }}>
      <Typography variant="h2" id="stuck" sx={{ color: 'warning.main' }}>
        Stuck
      </Typography>
      <Typography variant="body2" color="textSecondary" sx={{ mb: 1.5 }}>
        These have not ended, and nobody drives them now. A job tries each of them again; open one
        to drive it on at once.
      </Typography>
      <OrderTable label="Stuck orders" orders={stuck} />
    </Box>
  );
}
