import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Typography from '@mui/material/Typography';
import { Link } from 'react-router';
import { useCart } from '../api/cart';
import { amount } from '../format/money';
import { Page } from '../parts/Page';
import { Empty, Show } from '../parts/states';
import { CartLine } from './CartLine';

export default function CartPage() {
  const read = useCart();
  return (
    <Page title="Cart">
      <Show read={read} what="The cart">
        {(cart) =>
          cart.items.length === 0 ? (
            <Empty title="The cart is empty">
              <Button component={Link} to="/" variant="outlined" sx={{ mt: 1 }}>
                To the catalogue
              </Button>
            </Empty>
          ) : (
            <Box sx={{ maxWidth: 760 }}>
              <Box component="ul" sx={{ listStyle: 'none', p: 0, m: 0 }}>
                {cart.items.map((item) => (
                  <CartLine key={item.product_id} item={item} userId={cart.user_id} />
                ))}
              </Box>
              <Box sx={{ display: 'flex', justifyContent: 'space-between', py: 2.5 }}>
                <Typography variant="h2" component="p">
                  Total
                </Typography>
                <Typography
                  variant="h2"
                  component="p"
                  data-testid="total"
                  sx={{ fontVariantNumeric: 'tabular-nums' }}
                >
                  {amount(cart.total_amount)}
                </Typography>
              </Box>
              <Button component={Link} to="/checkout" variant="contained" size="large">
                To the checkout
              </Button>
            </Box>
          )
        }
      </Show>
    </Page>
  );
}
