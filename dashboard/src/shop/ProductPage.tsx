import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Typography from '@mui/material/Typography';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from 'react-router';
import { product } from '../api/products';
import type { Product } from '../api/types';
import { amount } from '../format/money';
import { Mark } from '../parts/Mark';
import { Page } from '../parts/Page';
import { Show } from '../parts/states';
import { useSession } from '../session/session';
import { AddToCart } from './AddToCart';
import { Stock } from './Stock';

const CATALOGUE = { to: '/', text: 'Catalogue' };

export default function ProductPage() {
  const { id = '' } = useParams();
  const read = useQuery(product(id));
  const session = useSession();
  return (
    <Page
      title={read.data?.name ?? 'Product'}
      back={CATALOGUE}
      actions={
        session?.isAdmin === true && (
          <Button component={Link} to={`/admin/products/${id}`} variant="outlined" size="small">
            Edit
          </Button>
        )
      }
    >
      <Show read={read} what="The product">
        {(found) => <Details product={found} />}
      </Show>
    </Page>
  );
}

function Details({ product }: { readonly product: Product }) {
  const { id, description, price, inventory, archived_at: archived } = product;
  return (
    <Box
      sx={{
        display: 'grid',
        gap: { xs: 3, md: 5 },
        gridTemplateColumns: { xs: '1fr', md: '3fr 2fr' },
        alignItems: 'start',
      }}
    >
      <Box sx={{ borderRadius: 1, overflow: 'hidden' }}>
        <Mark id={id} ratio={3 / 2} />
      </Box>
      <Box>
        <Box sx={{ display: 'flex', gap: 1.5, alignItems: 'baseline', mb: 2 }}>
          <Typography sx={{ fontSize: '1.375rem', fontWeight: 600, letterSpacing: '-0.01em' }}>
            {amount(price)}
          </Typography>
          {archived == null && <Stock units={inventory} always />}
        </Box>
        {archived == null ? (
          <AddToCart productId={id} units={inventory} />
        ) : (
          <Alert severity="info" variant="outlined">
            This product is archived: customers do not see it, and nobody can order it.
          </Alert>
        )}
        <Typography sx={{ mt: 3, whiteSpace: 'pre-line', maxWidth: '60ch' }} color="textSecondary">
          {description === '' ? 'There is no description.' : description}
        </Typography>
      </Box>
    </Box>
  );
}
