import Box from '@mui/material/Box';
import IconButton from '@mui/material/IconButton';
import MuiLink from '@mui/material/Link';
import Typography from '@mui/material/Typography';
import { Link } from 'react-router';
import { useSetQuantity } from '../api/cart';
import type { CartItem } from '../api/types';
import { amount } from '../format/money';
import { Refusal } from '../parts/Form';
import { CrossIcon, MinusIcon, PlusIcon } from '../parts/icons';
import { Mark } from '../parts/Mark';

interface Props {
  readonly item: CartItem;
  readonly userId: string;
}

/** One line of the cart. Each change is sent at once. */
export function CartLine({ item, userId }: Props) {
  const { product_id: id, product_name: name, product_price: price, quantity } = item;
  const set = useSetQuantity(userId, id);
  // While a change is on its way, its number is shown: the answer can only confirm or refuse it.
  const shown: number = set.isPending ? set.variables : quantity;
  const change = (to: number) => {
    if (!set.isPending) set.mutate(to);
  };
  return (
    <Box component="li" sx={{ borderBottom: 1, borderColor: 'divider', py: 2 }}>
      <Box sx={{ display: 'flex', gap: 2, alignItems: 'center' }}>
        <Box sx={{ width: 64, flexShrink: 0, borderRadius: 1, overflow: 'hidden' }}>
          <Mark id={id} ratio={1} />
        </Box>
        <Box
          sx={{
            flexGrow: 1,
            display: 'grid',
            gap: 1,
            alignItems: 'center',
            gridTemplateColumns: { xs: '1fr auto', sm: '1fr auto 110px' },
          }}
        >
          <Box sx={{ gridColumn: { xs: '1 / -1', sm: 'auto' } }}>
            <MuiLink component={Link} to={`/products/${id}`} color="inherit" underline="hover">
              <Typography variant="h3" component="span">
                {name}
              </Typography>
            </MuiLink>
            <Typography variant="body2" color="textSecondary">
              {amount(price)} each
            </Typography>
          </Box>
          <Box sx={{ display: 'flex', alignItems: 'center' }}>
            <IconButton
              aria-label={quantity === 1 ? `Remove ${name}` : `One unit less of ${name}`}
              onClick={() => change(quantity - 1)}
            >
              {quantity === 1 ? <CrossIcon /> : <MinusIcon />}
            </IconButton>
            <Typography
              aria-label={`${shown} units of ${name}`}
              role="status"
              sx={{
                minWidth: 32,
                textAlign: 'center',
                fontVariantNumeric: 'tabular-nums',
              }}
            >
              {shown}
            </Typography>
            <IconButton
              aria-label={`One unit more of ${name}`}
              onClick={() => change(quantity + 1)}
            >
              <PlusIcon />
            </IconButton>
          </Box>
          <Typography sx={{ textAlign: 'right', fontVariantNumeric: 'tabular-nums' }}>
            {amount(item.total_price)}
          </Typography>
        </Box>
      </Box>
      {set.error !== null && (
        <Box sx={{ mt: 1 }}>
          <Refusal problem={set.error} />
        </Box>
      )}
    </Box>
  );
}
