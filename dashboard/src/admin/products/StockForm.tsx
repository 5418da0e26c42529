import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useState } from 'react';
import { useChangeStock } from '../../api/products';
import type { Product } from '../../api/types';
import { count } from '../../format/money';
import { Field } from '../../parts/Field';
import { Form } from '../../parts/Form';
import { SubmitButton } from '../../parts/SubmitButton';

/** The stock of a product, which is changed by units: orders change it at the same time. */
export function StockForm({ product }: { readonly product: Product }) {
  const [units, setUnits] = useState('');
  const change = useChangeStock(product.id);
  const { error, isPending } = change;
  return (
    <Box component="section" aria-labelledby="stock">
      <Typography variant="h2" id="stock">
        Stock
      </Typography>
      <Typography
        role="status"
        sx={{
          fontSize: '1.75rem',
          fontWeight: 600,
          fontVariantNumeric: 'tabular-nums',
          mb: 1,
        }}
      >
        {count(product.inventory)}
      </Typography>
      <Form
        label="Change the stock"
        problem={error}
        onSend={() => change.mutate(Number(units), { onSuccess: () => setUnits('') })}
      >
        <Field
          name="quantity_change"
          label="Change by"
          hint="Units that arrive, or with a minus those that leave"
          value={units}
          inputProps={{ inputMode: 'numeric' }}
          problem={error}
          onChange={(event) => setUnits(event.target.value)}
        />
        <Box>
          <SubmitButton variant="outlined" loading={isPending}>
            Change the stock
          </SubmitButton>
        </Box>
      </Form>
    </Box>
  );
}
