import Box from '@mui/material/Box';
import FormControlLabel from '@mui/material/FormControlLabel';
import FormLabel from '@mui/material/FormLabel';
import Radio from '@mui/material/Radio';
import RadioGroup from '@mui/material/RadioGroup';
import Typography from '@mui/material/Typography';
import { Navigate, useNavigate } from 'react-router';
import { useCart } from '../api/cart';
import { part } from '../api/client';
import { orderIdOf, useCreateOrder } from '../api/orders';
import type { Cart } from '../api/types';
import { amount } from '../format/money';
import { Form, textOf } from '../parts/Form';
import { Page } from '../parts/Page';
import { Show } from '../parts/states';
import { SubmitButton } from '../parts/SubmitButton';
import { Lines } from '../order/Lines';
import { useFollow } from './useFollow';

const METHODS = [
  { value: 'credit_card', text: 'Credit card' },
  { value: 'direct_debit', text: 'Direct debit' },
  { value: 'invoice', text: 'Invoice' },
];

export default function Checkout() {
  const read = useCart();
  return (
    <Page title="Checkout" back={{ to: '/cart', text: 'Cart' }}>
      <Show read={read} what="The cart">
        {(cart) => <Placing cart={cart} />}
      </Show>
    </Page>
  );
}

function Placing({ cart }: { readonly cart: Cart }) {
  const create = useCreateOrder(cart.user_id);
  const navigate = useNavigate();
  const follow = useFollow(cart.user_id, create.isPending);
  const placed = follow ?? orderIdOf(create.error);
  if (placed !== undefined) return <Navigate to={`/orders/${placed}`} replace />;
  if (cart.items.length === 0 && create.isIdle) return <Navigate to="/cart" replace />;
  return (
    <Box
      sx={{
        display: 'grid',
        gap: { xs: 4, md: 6 },
        gridTemplateColumns: { xs: '1fr', md: '3fr 2fr' },
        alignItems: 'start',
      }}
    >
      <Box component="section" aria-labelledby="what">
        <Typography variant="h2" id="what" sx={{ mb: 1 }}>
          What you order
        </Typography>
        <Lines items={cart.items} total={cart.total_amount} />
      </Box>
      <Form
        label="Order"
        problem={create.error}
        onSend={(values) =>
          create.mutate(textOf(values, 'payment_method'), {
            onSuccess: ({ order }) => void navigate(`/orders/${part(order).id}`, { replace: true }),
          })
        }
      >
        <Box>
          <FormLabel id="method" sx={{ typography: 'h2', color: 'text.primary' }}>
            How you pay
          </FormLabel>
          <RadioGroup
            aria-labelledby="method"
            name="payment_method"
            defaultValue="credit_card"
            sx={{ mt: 0.5 }}
          >
            {METHODS.map(({ value, text }) => (
              <FormControlLabel
                key={value}
                value={value}
                label={text}
                control={<Radio size="small" />}
              />
            ))}
          </RadioGroup>
          <Typography variant="body2" color="textSecondary" sx={{ mt: 1 }}>
            The payment provider is a simulator: no money moves, and it asks for no card.
          </Typography>
        </Box>
        <SubmitButton size="large" loading={create.isPending}>
          {create.isError ? 'Try again' : `Order and pay ${amount(cart.total_amount)}`}
        </SubmitButton>
        <Typography variant="body2" color="textSecondary" role="status">
          {create.isPending ? 'The stock is reserved, then the payment is charged.' : ''}
        </Typography>
      </Form>
    </Box>
  );
}
