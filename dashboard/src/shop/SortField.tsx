import type { Sort } from '../api/products';
import { Choice } from '../parts/Choice';

const ORDERS: { value: Sort; text: string }[] = [
  { value: 'NEWEST', text: 'Newest first' },
  { value: 'NAME', text: 'By name' },
  { value: 'PRICE_ASCENDING', text: 'Lowest price first' },
  { value: 'PRICE_DESCENDING', text: 'Highest price first' },
];

export function isSort(text: string | null): text is Sort {
  return ORDERS.some(({ value }) => value === text);
}

interface Props {
  readonly value: Sort | undefined;
  readonly onSort: (value: Sort) => void;
}

/** The order of the catalogue. */
export function SortField({ value = 'NEWEST', onSort }: Props) {
  return <Choice label="Order" value={value} options={ORDERS} onChoose={onSort} />;
}
