import Box from '@mui/material/Box';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { isUnderWay, order as orderQuery, orderChanged, useSetOrderStatus } from '../../api/orders';
import type { Order } from '../../api/types';
import { CancelOrder } from '../../order/CancelOrder';
import { Refusal } from '../../parts/Form';
import { SubmitButton } from '../../parts/SubmitButton';

interface Props {
  readonly order: Order;
  /** Nobody drives it, though it has not ended. */
  readonly isStuck: boolean;
}

/** What an operator can do with an order in its present status. */
export function OrderActions({ order, isStuck }: Props) {
  const { id, status } = order;
  const set = useSetOrderStatus(id);
  const drive = useDriveOn(id);
  const problem = set.error ?? drive.error;
  return (
    <Box>
      <Box sx={{ display: 'flex', gap: 1.5, flexWrap: 'wrap', alignItems: 'center' }}>
        {(isStuck || isUnderWay(status)) && (
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
