import Box from '@mui/material/Box';
import { useNavigate } from 'react-router';
import { part } from '../../api/client';
import { useCreateProduct } from '../../api/products';
import { Field } from '../../parts/Field';
import { Form, textOf } from '../../parts/Form';
import { Page } from '../../parts/Page';
import { SubmitButton } from '../../parts/SubmitButton';
import { numberOf, ProductFields } from './ProductFields';

export function NewProduct() {
  const create = useCreateProduct();
  const navigate = useNavigate();
  const { error, isPending } = create;
  return (
    <Page title="Add a product" back={{ to: '/admin/products', text: 'Products' }}>
      <Box sx={{ maxWidth: 560 }}>
        <Form
          label="Add a product"
          problem={error}
          onSend={(values) =>
            create.mutate(
              {
                name: textOf(values, 'name'),
                description: textOf(values, 'description'),
                price: numberOf(values, 'price'),
                inventory: numberOf(values, 'inventory'),
              },
              {
                onSuccess: ({ product }) =>
                  void navigate(`/admin/products/${part(product).id}`, {
                    replace: true,
                  }),
              },
            )
          }
        >
          <ProductFields problem={error} />
          <Field
            name="inventory"
            label="Stock"
            hint="Units at the start"
            defaultValue="0"
            inputProps={{ inputMode: 'numeric' }}
            problem={error}
          />
          <Box>
            <SubmitButton loading={isPending}>Add the product</SubmitButton>
          </Box>
        </Form>
      </Box>
    </Page>
  );
}
