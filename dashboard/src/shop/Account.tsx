import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useRef } from 'react';
import type { User } from '../api/types';
import { useChangePassword } from '../api/users';
import { date } from '../format/time';
import { Field } from '../parts/Field';
import { Form, textOf } from '../parts/Form';
import { Page } from '../parts/Page';
import { SubmitButton } from '../parts/SubmitButton';
import { useSession } from '../session/session';

export default function Account() {
  const user = useSession()?.user;
  if (user === undefined) return null;
  return (
    <Page title="Account">
      <Box
        component="dl"
        sx={{
          display: 'grid',
          gridTemplateColumns: 'auto 1fr',
          columnGap: 3,
          rowGap: 0.75,
          m: 0,
          mb: 5,
          '& dt': { color: 'text.secondary' },
          '& dd': { m: 0 },
        }}
      >
        <dt>Name</dt>
        <dd>{user.name}</dd>
        <dt>E-mail</dt>
        <dd>{user.email}</dd>
        <dt>Since</dt>
        <dd>{date(user.created_at)}</dd>
      </Box>
      <Box component="section" aria-labelledby="password" sx={{ maxWidth: 400 }}>
        <Typography variant="h2" id="password" sx={{ mb: 2 }}>
          Change the password
        </Typography>
        <ChangePassword user={user} />
      </Box>
    </Page>
  );
}

function ChangePassword({ user }: { readonly user: User }) {
  const change = useChangePassword(user);
  const fields = useRef<HTMLDivElement>(null);
  const { error, isPending, isSuccess } = change;
  return (
    <Form
      label="Change the password"
      problem={error}
      onSend={(values) =>
        change.mutate(
          {
            old_password: textOf(values, 'old_password'),
            new_password: textOf(values, 'new_password'),
          },
          { onSuccess: () => fields.current?.closest('form')?.reset() },
        )
      }
    >
      {/* Password managers keep the new password for this account. */}
      <Box ref={fields} sx={{ display: 'none' }}>
        <input type="text" autoComplete="username" value={user.email} readOnly />
      </Box>
      <Field
        name="old_password"
        label="Present password"
        type="password"
        autoComplete="current-password"
        problem={error}
      />
      <Field
        name="new_password"
        label="New password"
        type="password"
        autoComplete="new-password"
        hint="8 characters or more"
        problem={error}
      />
      <Box>
        <SubmitButton loading={isPending}>Change the password</SubmitButton>
      </Box>
      <Box role="status">
        {isSuccess && (
          <Alert severity="success" variant="outlined">
            The password is changed. Everywhere else, you have to sign in again.
          </Alert>
        )}
      </Box>
    </Form>
  );
}
