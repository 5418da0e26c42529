import { queryOptions, skipToken, useQuery, useQueryClient } from '@tanstack/react-query';
import { useSession } from '../session/session';
import { client, data, part, under } from './client';
import type { Cart } from './types';
import { useWrite } from './useWrite';

/** The cart of a user; none without one. */
export function cart(userId: string | undefined) {
  return queryOptions({
    queryKey: ['cart', userId],
    queryFn:
      userId === undefined
        ? skipToken
        : async ({ signal }) => {
            const path = { user_id: userId };
            const answer = client.GET('/carts/{user_id}', { params: { path }, signal });
            return part((await data(answer)).cart);
          },
  });
}

/** The cart of the person who is signed in. */
export function useCart() {
  return useQuery(cart(useSession()?.user.id));
}

/** Keeps the cart that an answer holds: nothing needs to be read again. */
function useKeep() {
  const queries = useQueryClient();
  return ({ cart: answered }: { cart?: Cart }) => {
    const kept = part(answered);
    queries.setQueryData(cart(kept.user_id).queryKey, kept);
  };
}

export function useAddToCart(userId: string) {
  return useWrite(
    (body: { product_id: string; quantity: number }, key) =>
      data(
        client.POST('/carts/{user_id}/items', {
          params: { path: { user_id: userId }, header: under(key) },
          body,
        }),
      ),
    useKeep(),
  );
}

/** Sets the quantity of a line; 0 removes it. */
export function useSetQuantity(userId: string, productId: string) {
  return useWrite(
    (new_quantity: number, key) =>
      data(
        client.PUT('/carts/{user_id}/items/{product_id}', {
          params: {
            path: { user_id: userId, product_id: productId },
            header: under(key),
          },
          body: { new_quantity },
        }),
      ),
    useKeep(),
  );
}
