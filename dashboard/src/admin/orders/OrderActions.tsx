import Box from '@mui/material/Box';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import {
  isCancellable,
  isUnderWay,
  order as orderQuery,
  orderChanged,
  useSetOrderStatus,
} from '../../api/orders';
import type { Order } from '../../api/types';
import { CancelOrder } from '../../order/CancelOrder';
import { Refusal } from '../../parts/Form';
import { SubmitButton } from '../../parts/SubmitButton';
import { Driving, type Drive } from './Driving';

interface Props {
  readonly order: Order;
  /** Who drives it, if it has not ended. */
  readonly driving: Drive | undefined;
}

/** Who drives an order, and what an operator can do with it; nothing where it has ended for good. */
export function OrderActions({ order, driving }: Props) {
  const { id, status } = order;
  const set = useSetOrderStatus(id);
  const drive = useDriveOn(id);
  const problem = set.error ?? drive.error;
  const canDrive = driving?.stuck === true || isUnderWay(status);
  const isOver = driving === undefined && status !== 'SHIPPED' && !isCancellable(status);
  if (isOver && problem === null) return null;
  return (
    <Box>
      {driving !== undefined && <Driving driving={driving} />}
      <Box sx={{ display: 'flex', gap: 1.5, flexWrap: 'wrap', alignItems: 'center' }}>
        {canDrive && (
          <SubmitButton type="button" loading={drive.isPending} onClick={drive.start}>
            Drive on now
          </SubmitButton>
        )}
        {status === 'PAID' && (
          <SubmitButton type="button" loading={set.isPending} onClick={() => set.mutate('SHIPPED')}>
            Ship
          </SubmitButton>
        )}
        {status === 'SHIPPED' && (
          <SubmitButton
            type="button"
            loading={set.isPending}
            onClick={() => set.mutate('DELIVERED')}
          >
            Deliver
          </SubmitButton>
        )}
        <CancelOrder order={order} />
      </Box>
      {problem !== null && (
        <Box sx={{ mt: 2 }}>
          <Refusal problem={problem} />
        </Box>
      )}
    </Box>
  );
}

/** Reads the order, which drives it on if nobody does. */
function useDriveOn(id: string) {
  const queries = useQueryClient();
  const [isPending, setPending] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const start = () => {
    setPending(true);
    setError(null);
    queries
      .query({ ...orderQuery(id), staleTime: 0 })
      .then(() => orderChanged(queries), setError)
      .finally(() => setPending(false));
  };
  return { start, isPending, error };
}
