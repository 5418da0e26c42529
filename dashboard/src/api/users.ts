import {
  infiniteQueryOptions,
  queryOptions,
  useMutation,
  useQueryClient,
} from '@tanstack/react-query';
import { begin, expire } from '../session/session';
import { client, data, part, under } from './client';
import type { components } from './schema';
import { useWrite } from './useWrite';

type Schemas = components['schemas'];

/** Accounts in a page. */
const PAGE = 25;

export function useSignIn() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: Schemas['AuthRequest']) => data(client.POST('/auth/login', { body })),
    onSuccess: ({ token, user }) => {
      if (user != null) begin(queries, token, user);
    },
  });
}

/** Makes an account, and signs in. */
export function useSignUp() {
  const signIn = useSignIn();
  return useWrite(async (body: Schemas['CreateUserRequest'], key) => {
    const answer = await data(client.POST('/users', { params: { header: under(key) }, body }));
    const { email, password } = body;
    await signIn.mutateAsync({ email, password });
    return answer;
  });
}

/** All accounts, or those whose e-mail or name begins so. */
export function users(search: string) {
  return infiniteQueryOptions({
    queryKey: ['users', search],
    queryFn: ({ pageParam, signal }) => {
      const query = {
        limit: PAGE,
        ...(search === '' ? {} : { search }),
        ...(pageParam === '' ? {} : { page_token: pageParam }),
      };
      return data(client.GET('/users', { params: { query }, signal }));
    },
    initialPageParam: '',
    getNextPageParam: ({ next_page_token: next }) => (next === '' ? undefined : next),
  });
}

export function user(id: string) {
  return queryOptions({
    queryKey: ['user', id],
    queryFn: async ({ signal }) => {
      const answer = client.GET('/users/{id}', { params: { path: { id } }, signal });
      return part((await data(answer)).user);
    },
  });
}

/**
 * Changes the password, and signs in with the new one: the change makes all tokens of the account void. If that
 * sign-in fails, the page asks for the password.
 */
export function useChangePassword({ id, email }: Schemas['User']) {
  const queries = useQueryClient();
  const signIn = useSignIn();
  return useWrite(async (body: { old_password: string; new_password: string }, key) => {
    const answer = await data(
      client.POST('/users/{id}/password', {
        params: { path: { id }, header: under(key) },
        body,
      }),
    );
    await signIn.mutateAsync({ email, password: body.new_password }).catch(() => expire(queries));
    return answer;
  });
}

export function useSetUserState(id: string) {
  const queries = useQueryClient();
  return useWrite(
    (state: Schemas['SetUserStateRequest']['state'], key) =>
      data(
        client.PUT('/users/{id}/state', {
          params: { path: { id }, header: under(key) },
          body: { state },
        }),
      ),
    () => queries.invalidateQueries({ queryKey: ['users'] }),
  );
}
