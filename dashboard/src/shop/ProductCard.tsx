import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { Link } from 'react-router';
import type { Product } from '../api/types';
import { amount } from '../format/money';
import { Mark } from '../parts/Mark';
import { Stock } from './Stock';

export function ProductCard({ product }: { readonly product: Product }) {
  const { id, name, price, inventory } = product;
  return (
    <Box component="li">
      <Box
        component={Link}
        to={`/products/${id}`}
        sx={{
          display: 'block',
          color: 'inherit',
          textDecoration: 'none',
          '&:hover .name': { textDecoration: 'underline', textUnderlineOffset: 3 },
        }}
      >
        <Box
          sx={{
            borderRadius: 1,
            overflow: 'hidden',
            opacity: inventory === 0 ? 0.45 : 1,
          }}
        >
          <Mark id={id} />
        </Box>
        <Typography className="name" variant="h3" component="h2" sx={{ mt: 1.25 }}>
          {name}
        </Typography>
        <Box sx={{ display: 'flex', gap: 1, alignItems: 'baseline', flexWrap: 'wrap' }}>
          <Typography sx={{ fontVariantNumeric: 'tabular-nums' }}>{amount(price)}</Typography>
          <Stock units={inventory} />
        </Box>
      </Box>
    </Box>
  );
}
