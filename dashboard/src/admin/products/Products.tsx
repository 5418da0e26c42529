import Button from '@mui/material/Button';
import MuiLink from '@mui/material/Link';
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { Link, useSearchParams } from 'react-router';
import { products } from '../../api/products';
import type { Product } from '../../api/types';
import { amount, count } from '../../format/money';
import { date } from '../../format/time';
import { DataTable, type Column } from '../../parts/DataTable';
import { More } from '../../parts/More';
import { Page } from '../../parts/Page';
import { SearchField } from '../../parts/SearchField';
import { Empty, Show } from '../../parts/states';

const COLUMNS: Column<Product>[] = [
  {
    name: 'Product',
    wraps: true,
    show: ({ id, name }) => (
      <MuiLink component={Link} to={`/admin/products/${id}`}>
        {name}
      </MuiLink>
    ),
  },
  { name: 'Price', align: 'right', show: ({ price }) => amount(price) },
  { name: 'Stock', align: 'right', show: ({ inventory }) => count(inventory) },
  {
    name: 'Added',
    show: ({ created_at: at }) => <span style={{ whiteSpace: 'nowrap' }}>{date(at)}</span>,
  },
];

/** The products that are not archived. */
export function Products() {
  const [params, setParams] = useSearchParams();
  const search = params.get('q') ?? '';
  const read = useInfiniteQuery({ ...products(search), placeholderData: keepPreviousData });
  return (
    <Page
      title="Products"
      actions={
        <>
          <SearchField
            label="Search products"
            value={search}
            onSearch={(q) => setParams(q === '' ? {} : { q }, { replace: true })}
          />
          <Button component={Link} to="/admin/products/new" variant="contained">
            Add a product
          </Button>
        </>
      }
    >
      <Show read={read} what="The products" rows={8}>
        {({ pages }) => {
          const all = pages.flatMap((page) => page.products);
          return all.length === 0 ? (
            <Empty title={search === '' ? 'There are no products yet' : 'Nothing is found'} />
          ) : (
            <>
              <DataTable label="Products" columns={COLUMNS} rows={all} keyOf={({ id }) => id} />
              <More {...read} />
            </>
          );
        }}
      </Show>
    </Page>
  );
}
