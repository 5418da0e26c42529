import Box from '@mui/material/Box';
import Skeleton from '@mui/material/Skeleton';
import Typography from '@mui/material/Typography';
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { useDeferredValue } from 'react';
import { useSearchParams } from 'react-router';
import { products } from '../api/products';
import { counted } from '../format/money';
import { More } from '../parts/More';
import { Page } from '../parts/Page';
import { Empty, Show } from '../parts/states';
import { ProductCard } from './ProductCard';
import { SearchField } from '../parts/SearchField';
import { isSort, SortField } from './SortField';

const GRID = {
  display: 'grid',
  columnGap: { xs: 1.75, sm: 3 },
  rowGap: { xs: 2.5, sm: 3 },
  // A phone has room for two.
  gridTemplateColumns: {
    xs: 'repeat(2, minmax(0, 1fr))',
    sm: 'repeat(auto-fill, minmax(220px, 1fr))',
  },
};

/** What is for sale. The address holds the search and the order, so that both can be shared. */
export default function Catalogue() {
  const [params, setParams] = useSearchParams();
  const search = params.get('q') ?? '';
  const order = params.get('sort');
  const sort = isSort(order) ? order : undefined;
  const read = useInfiniteQuery({
    ...products(useDeferredValue(search), sort),
    placeholderData: keepPreviousData,
  });
  const set = (name: string, value: string) =>
    setParams(
      (before) => {
        const after = new URLSearchParams(before);
        if (value === '') after.delete(name);
        else after.set(name, value);
        return after;
      },
      { replace: true },
    );
  const first = read.data?.pages[0];
  const found =
    first === undefined
      ? ' '
      : counted(first.total, 'product', 'products', first.total_is_lower_bound);
  return (
    <Page
      title="Catalogue"
      lead={<span role="status">{found}</span>}
      actions={
        <Box
          role="search"
          sx={{
            display: 'flex',
            gap: 1.5,
            flexWrap: 'wrap',
            width: { xs: '100%', sm: 'auto' },
          }}
        >
          <SearchField label="Search products" value={search} onSearch={(text) => set('q', text)} />
          <SortField value={sort} onSort={(chosen) => set('sort', chosen)} />
        </Box>
      }
    >
      <Show read={read} what="The catalogue" loading={<LoadingGrid />}>
        {({ pages }) => {
          const all = pages.flatMap((page) => page.products);
          if (all.length === 0) {
            return search === '' ? (
              <Empty title="The shop has no products yet">
                An admin adds them under Operations.
              </Empty>
            ) : (
              <Empty title={`Nothing is found for “${search}”`}>Try fewer or other words.</Empty>
            );
          }
          return (
            <>
              <Box component="ul" sx={{ ...GRID, listStyle: 'none', p: 0, m: 0 }}>
                {all.map((product) => (
                  <ProductCard key={product.id} product={product} />
                ))}
              </Box>
              <More {...read} />
            </>
          );
        }}
      </Show>
    </Page>
  );
}

function LoadingGrid() {
  return (
    <Box sx={GRID} role="status" aria-label="The catalogue: loading">
      {Array.from({ length: 8 }, (_, card) => (
        <Box key={card}>
          <Skeleton variant="rounded" sx={{ aspectRatio: '4 / 3', height: 'auto' }} />
          <Typography sx={{ mt: 1 }}>
            <Skeleton width="70%" />
            <Skeleton width="35%" />
          </Typography>
        </Box>
      ))}
    </Box>
  );
}
