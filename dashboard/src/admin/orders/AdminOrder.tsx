import Box from '@mui/material/Box';
import MuiLink from '@mui/material/Link';
import Typography from '@mui/material/Typography';
import { Link, useParams } from 'react-router';
import type { Order } from '../../api/types';
import { dateTime } from '../../format/time';
import { Lines } from '../../order/Lines';
import { orderName } from '../../order/orderName';
import { Status } from '../../order/Status';
import { usePolled } from '../../order/usePolled';
import { Page } from '../../parts/Page';
import { Show } from '../../parts/states';
import { MONOSPACE } from '../../theme/theme';
import { OrderActions } from './OrderActions';
import { SagaDiagram } from './SagaDiagram';
import { StepTable } from './StepTable';

/** An order for operators: what was done for it, by whom, and what can be done now. */
export function AdminOrder() {
  const { id = '' } = useParams();
  const read = usePolled(id, { drivesOn: false });
  return (
    <Page
      title={`Order ${orderName(id)}`}
      lead={read.data === undefined ? ' ' : dateTime(read.data.order.created_at)}
      back={{ to: '/admin/orders', text: 'Orders' }}
      actions={
        <Box role="status">
          {read.data !== undefined && <Status status={read.data.order.status} />}
        </Box>
      }
    >
      <Show read={read} what="The order">
        {({ order, steps, driving }) => (
          <Box sx={{ display: 'grid', gap: 5, gridTemplateColumns: 'minmax(0, 1fr)' }}>
            <OrderActions order={order} driving={driving ?? undefined} />
            <Section title="Saga">
              <SagaDiagram steps={steps} next={driving?.step} />
              <StepTable steps={steps} />
            </Section>
            <Box
              sx={{
                display: 'grid',
                gap: 5,
                gridTemplateColumns: { xs: 'minmax(0, 1fr)', lg: '1fr 1fr' },
              }}
            >
              <Section title="Lines">
                <Lines items={order.items} total={order.total_amount} />
              </Section>
              <Section title="Facts">
                <Facts order={order} />
              </Section>
            </Box>
          </Box>
        )}
      </Show>
    </Page>
  );
}

function Section({
  title,
  children,
}: {
  readonly title: string;
  readonly children: React.ReactNode;
}) {
  return (
    <Box component="section" sx={{ minWidth: 0 }}>
      <Typography variant="h2" sx={{ mb: 1.5 }}>
        {title}
      </Typography>
      {children}
    </Box>
  );
}

function Facts({ order }: { readonly order: Order }) {
  const { id, user_id: user, payment_id: payment, reason, updated_at: updated } = order;
  const facts = [
    ['Order', id],
    ['Payment', payment === '' ? 'none yet' : payment],
    ['Last change', dateTime(updated)],
    ...(reason === '' ? [] : [['Reason', reason]]),
  ];
  return (
    <Box
      component="dl"
      sx={{
        m: 0,
        display: 'grid',
        gridTemplateColumns: 'auto minmax(0, 1fr)',
        columnGap: 3,
        rowGap: 0.75,
        fontSize: '0.8438rem',
        '& dt': { color: 'text.secondary' },
        '& dd': { m: 0, fontFamily: MONOSPACE },
      }}
    >
      {facts.map(([name, value]) => (
        <Box key={name} sx={{ display: 'contents' }}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </Box>
      ))}
      <dt>User</dt>
      <dd>
        <MuiLink component={Link} to={`/admin/orders?user=${user}`}>
          {user}
        </MuiLink>
      </dd>
    </Box>
  );
}
