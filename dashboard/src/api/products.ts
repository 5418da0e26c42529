import {
  infiniteQueryOptions,
  queryOptions,
  useQueryClient,
  type QueryClient,
} from '@tanstack/react-query';
import { client, data, part, under } from './client';
import type { components, operations } from './schema';
import { useWrite } from './useWrite';

type Query = NonNullable<operations['ListProducts']['parameters']['query']>;

/** The order of the catalogue. */
export type Sort = NonNullable<Query['sort']>;

/** Products in a page of the catalogue. */
const PAGE = 24;

/** The catalogue, page by page: all of it, or what a search finds. */
export function products(search: string, sort?: Sort) {
  return infiniteQueryOptions({
    queryKey: ['products', search, sort],
    queryFn: ({ pageParam, signal }) => {
      const query: Query = { limit: PAGE };
      if (search !== '') query.search = search;
      if (sort !== undefined) query.sort = sort;
      if (pageParam !== '') query.page_token = pageParam;
      return data(client.GET('/products', { params: { query }, signal }));
    },
    initialPageParam: '',
    getNextPageParam: ({ next_page_token: next }) => (next === '' ? undefined : next),
  });
}

/** One product. An admin also reads those that are archived. */
export function product(id: string) {
  return queryOptions({
    queryKey: ['product', id],
    queryFn: async ({ signal }) => {
      const answer = client.GET('/products/{id}', { params: { path: { id } }, signal });
      return part((await data(answer)).product);
    },
  });
}

async function changed(queries: QueryClient): Promise<void> {
  await Promise.all([
    queries.invalidateQueries({ queryKey: ['products'] }),
    queries.invalidateQueries({ queryKey: ['product'] }),
  ]);
}

export function useCreateProduct() {
  const queries = useQueryClient();
  return useWrite(
    (body: components['schemas']['CreateProductRequest'], key) =>
      data(client.POST('/products', { params: { header: under(key) }, body })),
    () => changed(queries),
  );
}

export function useUpdateProduct(id: string) {
  const queries = useQueryClient();
  return useWrite(
    (body: components['schemas']['UpdateProductRequest'], key) =>
      data(
        client.PATCH('/products/{id}', {
          params: { path: { id }, header: under(key) },
          body,
        }),
      ),
    () => changed(queries),
  );
}

export function useArchiveProduct(id: string) {
  const queries = useQueryClient();
  return useWrite(
    (_: null, key) =>
      data(client.DELETE('/products/{id}', { params: { path: { id }, header: under(key) } })),
    () => changed(queries),
  );
}

/** Adds to the stock of a product, or takes from it. */
export function useChangeStock(id: string) {
  const queries = useQueryClient();
  return useWrite(
    (quantity_change: number, key) =>
      data(
        client.PATCH('/products/{product_id}/inventory', {
          params: { path: { product_id: id }, header: under(key) },
          body: { quantity_change },
        }),
      ),
    () => changed(queries),
  );
}
