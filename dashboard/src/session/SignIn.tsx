import Box from '@mui/material/Box';
import MuiLink from '@mui/material/Link';
import Typography from '@mui/material/Typography';
import { Link, useNavigate } from 'react-router';
import { useSignIn } from '../api/users';
import { Field } from '../parts/Field';
import { Form, textOf } from '../parts/Form';
import { Page } from '../parts/Page';
import { SubmitButton } from '../parts/SubmitButton';
import { claimsOf } from './claims';
import { useFrom } from './from';

export default function SignIn() {
  const signIn = useSignIn();
  const navigate = useNavigate();
  const from = useFrom();
  const { error, isPending } = signIn;
  return (
    <Box sx={{ maxWidth: 400, mx: 'auto' }}>
      <Page title="Sign in">
        <Form
          label="Sign in"
          problem={error}
          onSend={(values) => {
            const request = {
              email: textOf(values, 'email'),
              password: textOf(values, 'password'),
            };
            signIn.mutate(request, {
              onSuccess: ({ token }) => {
                const home = claimsOf(token).role === 'admin' ? '/admin' : '/';
                void navigate(from ?? home, { replace: true });
              },
            });
          }}
        >
          <Field name="email" label="E-mail" type="email" autoComplete="username" problem={error} />
          <Field
            name="password"
            label="Password"
            type="password"
            autoComplete="current-password"
            problem={error}
          />
          <SubmitButton loading={isPending} fullWidth>
            Sign in
          </SubmitButton>
        </Form>
        <Typography color="textSecondary" sx={{ mt: 3 }}>
          New here?{' '}
          <MuiLink component={Link} to="/sign-up" state={{ from }}>
            Make an account
          </MuiLink>
        </Typography>
      </Page>
    </Box>
  );
}
