import MuiLink from '@mui/material/Link';
import { Link } from 'react-router';
import type { Order } from '../../api/types';
import { amount, count } from '../../format/money';
import { dateTime } from '../../format/time';
import { orderName } from '../../order/orderName';
import { Status } from '../../order/Status';
import { DataTable, type Column } from '../../parts/DataTable';

const COLUMNS: Column<Order>[] = [
  {
    name: 'Order',
    show: ({ id }) => (
      <MuiLink component={Link} to={`/admin/orders/${id}`} sx={{ whiteSpace: 'nowrap' }}>
        {orderName(id)}
      </MuiLink>
    ),
  },
  { name: 'Status', show: ({ status }) => <Status status={status} /> },
  {
    name: 'Placed',
    show: ({ created_at: at }) => dateTime(at),
  },
  { name: 'Products', wraps: true, show: ({ items }) => names(items) },
  {
    name: 'Units',
    align: 'right',
    show: ({ items }) => count(items.reduce((sum, { quantity }) => sum + quantity, 0)),
  },
  { name: 'Total', align: 'right', show: ({ total_amount: total }) => amount(total) },
  { name: 'Reason', wraps: true, show: ({ reason }) => reason },
];

function names(items: Order['items']) {
  return items.map(({ product_name: name }) => name).join(', ');
}

interface Props {
  readonly label: string;
  readonly orders: readonly Order[];
}

export function OrderTable({ label, orders }: Props) {
  return <DataTable label={label} columns={COLUMNS} rows={orders} keyOf={({ id }) => id} />;
}
