import Chip from '@mui/material/Chip';
import MuiLink from '@mui/material/Link';
import { keepPreviousData, useInfiniteQuery } from '@tanstack/react-query';
import { Link, useSearchParams } from 'react-router';
import { users } from '../../api/users';
import type { User } from '../../api/types';
import { counted } from '../../format/money';
import { date } from '../../format/time';
import { DataTable, type Column } from '../../parts/DataTable';
import { More } from '../../parts/More';
import { Page } from '../../parts/Page';
import { SearchField } from '../../parts/SearchField';
import { Empty, Show } from '../../parts/states';
import { SetState } from './SetState';

const COLUMNS: Column<User>[] = [
  { name: 'Name', wraps: true, show: ({ name }) => name },
  { name: 'E-mail', show: ({ email }) => email },
  {
    name: 'Since',
    show: ({ created_at: at }) => <span style={{ whiteSpace: 'nowrap' }}>{date(at)}</span>,
  },
  {
    name: 'State',
    show: ({ state }) => (
      <Chip
        size="small"
        variant="outlined"
        color={state === 'DISABLED' ? 'error' : 'success'}
        label={state === 'DISABLED' ? 'Disabled' : 'Active'}
      />
    ),
  },
  {
    name: 'Orders',
    show: ({ id, name }) => (
      <MuiLink component={Link} to={`/admin/orders?user=${id}`} aria-label={`Orders of ${name}`}>
        Orders
      </MuiLink>
    ),
  },
  { name: 'Change', align: 'right', show: (user) => <SetState user={user} /> },
];

/** All accounts, newest first, or those that a search finds. */
export function Users() {
  const [params, setParams] = useSearchParams();
  const search = params.get('q') ?? '';
  const read = useInfiniteQuery({ ...users(search), placeholderData: keepPreviousData });
  const first = read.data?.pages[0];
  return (
    <Page
      title="Users"
      lead={
        <span role="status">
          {first === undefined
            ? ' '
            : counted(first.total, 'account', 'accounts', first.total_is_lower_bound)}
        </span>
      }
      actions={
        <SearchField
          label="Beginning of e-mail or name"
          value={search}
          onSearch={(q) => setParams(q === '' ? {} : { q }, { replace: true })}
        />
      }
    >
      <Show read={read} what="The users" rows={8}>
        {({ pages }) => {
          const all = pages.flatMap((page) => page.users);
          return all.length === 0 ? (
            <Empty title="No account is found">
              The search looks at the beginning of e-mails and names.
            </Empty>
          ) : (
            <>
              <DataTable label="Users" columns={COLUMNS} rows={all} keyOf={({ id }) => id} />
              <More {...read} />
            </>
          );
        }}
      </Show>
    </Page>
  );
}
