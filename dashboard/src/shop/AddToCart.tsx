import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import { useState } from 'react';
import { Link, useLocation } from 'react-router';
import { useAddToCart } from '../api/cart';
import { Form, textOf } from '../parts/Form';
import { SubmitButton } from '../parts/SubmitButton';
import { Field } from '../parts/Field';
import { useSession } from '../session/session';

interface Props {
  readonly productId: string;
  /** Units that can be bought. */
  readonly units: number;
}

/** Puts units of a product into the cart. */
export function AddToCart({ productId, units }: Props) {
  const session = useSession();
  const location = useLocation();
  if (units === 0) {
    return (
      <Alert severity="info" variant="outlined">
        All units are sold. Look again later.
      </Alert>
    );
  }
  if (session === null) {
    return (
      <Button component={Link} to="/sign-in" state={{ from: location }} variant="contained">
        Sign in to buy
      </Button>
    );
  }
  return <Adding userId={session.user.id} productId={productId} />;
}

function Adding({ userId, productId }: { readonly userId: string; readonly productId: string }) {
  const add = useAddToCart(userId);
  const [quantity, setQuantity] = useState('1');
  return (
    <Form
      label="Put into the cart"
      problem={add.error}
      onSend={(values) =>
        add.mutate({ product_id: productId, quantity: Number(textOf(values, 'quantity')) })
      }
    >
      <Box sx={{ display: 'flex', gap: 1.5, alignItems: 'end' }}>
        <Box sx={{ width: 96, flexShrink: 0 }}>
          <Field
            name="quantity"
            label="Quantity"
            type="number"
            value={quantity}
            inputProps={{ min: 1, max: 10_000, inputMode: 'numeric' }}
            problem={add.error}
            onChange={(event) => {
              setQuantity(event.target.value);
              add.reset();
            }}
          />
        </Box>
        <SubmitButton loading={add.isPending} sx={{ minHeight: 40 }}>
          Put into the cart
        </SubmitButton>
      </Box>
      <Box role="status">
        {add.isSuccess && (
          <Alert
            severity="success"
            variant="outlined"
            action={
              <Button component={Link} to="/cart" color="inherit" size="small">
                To the cart
              </Button>
            }
          >
            It is in the cart.
          </Alert>
        )}
      </Box>
    </Form>
  );
}
