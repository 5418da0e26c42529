import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Typography from '@mui/material/Typography';
import { useQuery } from '@tanstack/react-query';
import { Link, useParams } from 'react-router';
import { product, useUpdateProduct } from '../../api/products';
import type { Product } from '../../api/types';
import { dateTime } from '../../format/time';
import { Form, textOf } from '../../parts/Form';
import { Page } from '../../parts/Page';
import { Show } from '../../parts/states';
import { SubmitButton } from '../../parts/SubmitButton';
import { ArchiveProduct } from './ArchiveProduct';
import { numberOf, ProductFields } from './ProductFields';
import { StockForm } from './StockForm';

export function EditProduct() {
  const { id = '' } = useParams();
  const read = useQuery(product(id));
  return (
    <Page
      title={read.data?.name ?? 'Product'}
      back={{ to: '/admin/products', text: 'Products' }}
      actions={
        <Button component={Link} to={`/products/${id}`} variant="outlined" size="small">
          See it in the shop
        </Button>
      }
    >
      <Show read={read} what="The product" rows={6}>
        {(found) => (
          <>
            {found.archived_at != null && (
              <Alert severity="info" variant="outlined" sx={{ mb: 3 }}>
                Archived on {dateTime(found.archived_at)}. It stays readable in orders.
              </Alert>
            )}
            <Box
              sx={{
                display: 'grid',
                gap: 6,
                gridTemplateColumns: {
                  xs: 'minmax(0, 1fr)',
                  lg: 'minmax(0, 560px) 300px',
                },
                alignItems: 'start',
              }}
            >
              <Facts key={found.id} product={found} />
              <Box sx={{ display: 'grid', gap: 5 }}>
                <StockForm product={found} />
                {found.archived_at == null && <ArchiveProduct product={found} />}
              </Box>
            </Box>
          </>
        )}
      </Show>
    </Page>
  );
}

function Facts({ product }: { readonly product: Product }) {
  const update = useUpdateProduct(product.id);
  const { error, isPending, isSuccess } = update;
  return (
    <Form
      label="Change the product"
      problem={error}
      onSend={(values) =>
        update.mutate({
          name: textOf(values, 'name'),
          description: textOf(values, 'description'),
          price: numberOf(values, 'price'),
        })
      }
    >
      <ProductFields product={product} problem={error} />
      <Box sx={{ display: 'flex', gap: 2, alignItems: 'center' }}>
        <SubmitButton loading={isPending}>Save</SubmitButton>
        <Typography variant="body2" color="textSecondary" role="status">
          {isSuccess ? 'Saved.' : ''}
        </Typography>
      </Box>
    </Form>
  );
}
