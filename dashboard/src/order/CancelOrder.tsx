import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import Typography from '@mui/material/Typography';
import { useState } from 'react';
import { isCancellable, useCancelOrder } from '../api/orders';
import type { Order } from '../api/types';
import { amount } from '../format/money';
import { Refusal } from '../parts/Form';
import { SubmitButton } from '../parts/SubmitButton';

/** Cancels an order that is not shipped, after a question. */
export function CancelOrder({ order }: { readonly order: Order }) {
  const [asking, setAsking] = useState(false);
  const cancel = useCancelOrder(order.id);
  if (!isCancellable(order.status)) return null;
  const close = () => {
    setAsking(false);
    cancel.reset();
  };
  return (
    <>
      <Button variant="outlined" color="error" onClick={() => setAsking(true)}>
        Cancel the order
      </Button>
      <Dialog open={asking} onClose={close} aria-labelledby="cancel-order" maxWidth="xs" fullWidth>
        <DialogTitle id="cancel-order" variant="h2">
          Cancel this order?
        </DialogTitle>
        <DialogContent>
          <Typography sx={{ mb: cancel.isError ? 2 : 0 }}>
            {order.status === 'PAID'
              ? `${amount(order.total_amount)} are refunded, and the stock goes back.`
              : 'Nothing stays charged, and the stock goes back.'}
          </Typography>
          <Refusal problem={cancel.error} />
        </DialogContent>
        <DialogActions sx={{ px: 3, pb: 2 }}>
          <Button autoFocus onClick={close}>
            Keep it
          </Button>
          <SubmitButton
            type="button"
            color="error"
            loading={cancel.isPending}
            onClick={() => cancel.mutate(null, { onSuccess: close })}
          >
            Cancel the order
          </SubmitButton>
        </DialogActions>
      </Dialog>
    </>
  );
}
