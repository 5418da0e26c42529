import {
  infiniteQueryOptions,
  queryOptions,
  useQueryClient,
  type QueryClient,
} from '@tanstack/react-query';
import { client, data, part, under } from './client';
import { Failure } from './problem';
import type { components, operations } from './schema';
import type { Order, OrderStatus } from './types';
import { useWrite } from './useWrite';

/** Orders in a page. */
const PAGE = 20;

/** What an admin looks for among the orders of all users. */
export type OrderFilter = Omit<
  NonNullable<operations['ListOrders']['parameters']['query']>,
  'limit' | 'page_token'
>;

/** The orders of one user, newest first. */
export function ordersOf(userId: string) {
  return infiniteQueryOptions({
    queryKey: ['orders', userId],
    queryFn: ({ pageParam, signal }) =>
      data(
        client.GET('/users/{user_id}/orders', {
          params: { path: { user_id: userId }, query: paged(pageParam) },
          signal,
        }),
      ),
    initialPageParam: '',
    getNextPageParam: ({ next_page_token: next }) => (next === '' ? undefined : next),
  });
}

/** The newest order of a user; null without any. */
export function newestOrder(userId: string) {
  return queryOptions({
    queryKey: ['orders', userId, 'newest'],
    queryFn: async ({ signal }) => {
      const params = { path: { user_id: userId }, query: { limit: 1 } };
      const { orders } = await data(client.GET('/users/{user_id}/orders', { params, signal }));
      return orders[0] ?? null;
    },
  });
}

/** The orders of all users, newest first. */
export function orders(filter: OrderFilter, limit = PAGE) {
  return infiniteQueryOptions({
    queryKey: ['orders', 'all', filter, limit],
    queryFn: ({ pageParam, signal }) => {
      const query = { ...filter, ...paged(pageParam), limit };
      return data(client.GET('/orders', { params: { query }, signal }));
    },
    initialPageParam: '',
    getNextPageParam: ({ next_page_token: next }) => (next === '' ? undefined : next),
  });
}

function paged(token: string): { limit: number; page_token?: string } {
  return token === '' ? { limit: PAGE } : { limit: PAGE, page_token: token };
}

/** One order. Reading it also finishes an order that nobody drives. */
export function order(id: string) {
  return queryOptions({
    queryKey: ['order', id],
    queryFn: async ({ signal }) => {
      const answer = client.GET('/orders/{id}', { params: { path: { id } }, signal });
      return part((await data(answer)).order);
    },
  });
}

/** What became of an order, and when. Reading it changes nothing. */
export function timeline(id: string) {
  return queryOptions({
    queryKey: ['timeline', id],
    queryFn: async ({ signal }) => {
      const answer = client.GET('/orders/{id}/timeline', {
        params: { path: { id } },
        signal,
      });
      const { order, ...rest } = await data(answer);
      return { ...rest, order: part(order) };
    },
  });
}

/** Whether the saga of an order is at work. */
export function isUnderWay(status: OrderStatus): boolean {
  return status === 'PENDING' || status === 'PROCESSING';
}

/** Whether an order can still be cancelled: it is not shipped, and not undone. */
export function isCancellable(status: OrderStatus): boolean {
  return status === 'PAID' || isUnderWay(status);
}

/** Reads again what an order has changed. */
export async function orderChanged(queries: QueryClient): Promise<void> {
  const keys = ['order', 'orders', 'timeline', 'cart', 'products', 'product'];
  await Promise.all(keys.map((key) => queries.invalidateQueries({ queryKey: [key] })));
}

/** Makes an order of the cart. */
export function useCreateOrder(userId: string) {
  const queries = useQueryClient();
  return useWrite(
    (payment_method: string, key) =>
      data(
        client.POST('/orders', {
          params: { header: under(key) },
          body: { user_id: userId, payment_method },
        }),
      ),
    () => orderChanged(queries),
  );
}

export function useCancelOrder(id: string) {
  const queries = useQueryClient();
  return useWrite(
    (_: null, key) =>
      data(
        client.POST('/orders/{id}/cancel', {
          params: { path: { id }, header: under(key) },
          body: {},
        }),
      ),
    () => orderChanged(queries),
  );
}

export function useSetOrderStatus(id: string) {
  const queries = useQueryClient();
  return useWrite(
    (status: components['schemas']['UpdateOrderStatusRequest']['status'], key) =>
      data(
        client.PATCH('/orders/{order_id}/status', {
          params: { path: { order_id: id }, header: under(key) },
          body: { status },
        }),
      ),
    () => orderChanged(queries),
  );
}

/** The order that a request made, though it failed: its page says how it ends. */
export function orderIdOf(error: unknown): string | undefined {
  return error instanceof Failure ? error.orderId : undefined;
}

/** The status under which the timeline of an order is complete for now. */
export function hasEnded({ status }: Order): boolean {
  return status === 'FAILED' || status === 'CANCELLED' || status === 'DELIVERED';
}
