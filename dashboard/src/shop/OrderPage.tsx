import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useParams } from 'react-router';
import { dateTime } from '../format/time';
import { Page } from '../parts/Page';
import { Show } from '../parts/states';
import { Status } from '../order/Status';
import { CancelOrder } from '../order/CancelOrder';
import { Lines } from '../order/Lines';
import { orderName } from '../order/orderName';
import { Timeline } from './Timeline';
import { usePolled } from '../order/usePolled';

const ORDERS = { to: '/orders', text: 'Orders' };

/** An order, as its saga goes on. */
export default function OrderPage() {
  const { id = '' } = useParams();
  const read = usePolled(id, { drivesOn: true });
  const order = read.data?.order;
  return (
    <Page
      title={`Order ${orderName(id)}`}
      lead={order === undefined ? ' ' : dateTime(order.created_at)}
      back={ORDERS}
      actions={<Box role="status">{order !== undefined && <Status status={order.status} />}</Box>}
    >
      <Show read={read} what="The order">
        {({ order, events, doing }) => (
          <>
            {order.status === 'FAILED' && (
              <Alert severity="error" variant="outlined" sx={{ mb: 3 }}>
                This order was not completed: {order.reason}. Nothing is charged, and your cart is
                as it was.
              </Alert>
            )}
            <Box
              sx={{
                display: 'grid',
                gap: { xs: 4, md: 6 },
                gridTemplateColumns: { xs: '1fr', md: '2fr 3fr' },
                alignItems: 'start',
              }}
            >
              <Box component="section" aria-labelledby="timeline">
                <Typography variant="h2" id="timeline" sx={{ mb: 1.5 }}>
                  What happened
                </Typography>
                <Timeline events={events} doing={doing} />
              </Box>
              <Box component="section" aria-labelledby="lines">
                <Typography variant="h2" id="lines" sx={{ mb: 1 }}>
                  What you ordered
                </Typography>
                <Lines items={order.items} total={order.total_amount} />
                <Box sx={{ mt: 2 }}>
                  <CancelOrder order={order} />
                </Box>
              </Box>
            </Box>
          </>
        )}
      </Show>
    </Page>
  );
}
