import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { ordersOf } from '../api/orders';
import type { Order } from '../api/types';
import { amount } from '../format/money';
import { dateTime } from '../format/time';
import { More } from '../parts/More';
import { Page } from '../parts/Page';
import { Empty, Show } from '../parts/states';
import { Status } from '../order/Status';
import { useSession } from '../session/session';
import { orderName } from '../order/orderName';

/** The orders of the person who is signed in. */
export default function Orders() {
  const session = useSession();
  const read = useInfiniteQuery(ordersOf(session?.user.id ?? ''));
  return (
    <Page title="Orders">
      <Show read={read} what="The orders">
        {({ pages }) => {
          const orders = pages.flatMap((page) => page.orders);
          return orders.length === 0 ? (
            <Empty title="You have no orders yet">What you order appears here.</Empty>
          ) : (
            <>
              <Box component="ul" sx={{ listStyle: 'none', p: 0, m: 0 }}>
                {orders.map((order) => (
                  <Row key={order.id} order={order} />
                ))}
              </Box>
              <More {...read} />
            </>
          );
        }}
      </Show>
    </Page>
  );
}

function Row({ order }: { readonly order: Order }) {
  const names = order.items.map(({ product_name: name }) => name).join(', ');
  return (
    <Box component="li" sx={{ borderBottom: 1, borderColor: 'divider' }}>
      <Box
        component={Link}
        to={`/orders/${order.id}`}
        sx={{
          display: 'grid',
          gridTemplateColumns: { xs: '1fr auto', sm: '1fr 130px 110px' },
          columnGap: 2,
          rowGap: 0.5,
          alignItems: 'center',
          py: 1.75,
          color: 'inherit',
          textDecoration: 'none',
          '&:hover .name': { textDecoration: 'underline', textUnderlineOffset: 3 },
        }}
      >
        <Box sx={{ minWidth: 0 }}>
          <Typography className="name" variant="h3" component="h2" noWrap>
            {names}
          </Typography>
          <Typography variant="body2" color="textSecondary">
            {orderName(order.id)} · {dateTime(order.created_at)}
          </Typography>
        </Box>
        <Box sx={{ textAlign: { xs: 'right', sm: 'left' } }}>
          <Status status={order.status} />
        </Box>
        <Typography
          sx={{
            textAlign: { sm: 'right' },
            gridColumn: { xs: '1', sm: 'auto' },
            fontVariantNumeric: 'tabular-nums',
          }}
        >
          {amount(order.total_amount)}
        </Typography>
      </Box>
    </Box>
  );
}
