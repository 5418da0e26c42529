import Chip from '@mui/material/Chip';
import type { OrderStatus } from '../api/types';

type Color = 'default' | 'error' | 'info' | 'primary' | 'success' | 'warning';

const STATUSES: Record<OrderStatus, { text: string; color: Color }> = {
  ORDER_STATUS_UNSPECIFIED: { text: 'Unknown', color: 'default' },
  PENDING: { text: 'Pending', color: 'warning' },
  PROCESSING: { text: 'Processing', color: 'warning' },
  PAID: { text: 'Paid', color: 'success' },
  SHIPPED: { text: 'Shipped', color: 'info' },
  DELIVERED: { text: 'Delivered', color: 'primary' },
  CANCELLED: { text: 'Cancelled', color: 'default' },
  FAILED: { text: 'Failed', color: 'error' },
};

/** The word for a status of an order. */
export function statusText(status: OrderStatus): string {
  return STATUSES[status].text;
}

export function Status({ status }: { readonly status: OrderStatus }) {
  const { text, color } = STATUSES[status];
  return <Chip label={text} color={color} size="small" variant="outlined" />;
}
