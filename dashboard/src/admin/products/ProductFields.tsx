import type { Product } from '../../api/types';
import { Field } from '../../parts/Field';
import { textOf } from '../../parts/Form';

interface Props {
  /** What they begin with. */
  readonly product?: Product;
  readonly problem: unknown;
}

/** Name, description and price. */
export function ProductFields({ product, problem }: Props) {
  return (
    <>
      <Field name="name" label="Name" defaultValue={product?.name ?? ''} problem={problem} />
      <Field
        name="description"
        label="Description"
        defaultValue={product?.description ?? ''}
        multiline
        minRows={4}
        problem={problem}
        inputProps={{ style: { padding: '8px 12px' } }}
      />
      <Field
        name="price"
        label="Price"
        hint="In the shop’s currency, at most two decimals"
        defaultValue={product?.price ?? ''}
        inputProps={{ inputMode: 'decimal' }}
        problem={problem}
      />
    </>
  );
}

/** A number that a person typed, with a point or a comma; NaN, which JSON writes as null, if it is none. */
export function numberOf(values: FormData, name: string): number {
  const text = textOf(values, name).trim().replace(',', '.');
  return text === '' ? Number.NaN : Number(text);
}
