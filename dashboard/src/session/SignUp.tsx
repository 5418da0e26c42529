import Box from '@mui/material/Box';
import MuiLink from '@mui/material/Link';
import Typography from '@mui/material/Typography';
import { Link, useNavigate } from 'react-router';
import { useSignUp } from '../api/users';
import { Field } from '../parts/Field';
import { Form, textOf } from '../parts/Form';
import { Page } from '../parts/Page';
import { SubmitButton } from '../parts/SubmitButton';
import { useFrom } from './from';

export default function SignUp() {
  const signUp = useSignUp();
  const navigate = useNavigate();
  const from = useFrom();
  const { error, isPending } = signUp;
  return (
    <Box sx={{ maxWidth: 400, mx: 'auto' }}>
      <Page title="Make an account">
        <Form
          label="Make an account"
          problem={error}
          onSend={(values) =>
            signUp.mutate(
              {
                name: textOf(values, 'name'),
                email: textOf(values, 'email'),
                password: textOf(values, 'password'),
              },
              { onSuccess: () => void navigate(from ?? '/', { replace: true }) },
            )
          }
        >
          <Field name="name" label="Name" autoComplete="name" problem={error} />
          <Field name="email" label="E-mail" type="email" autoComplete="username" problem={error} />
          <Field
            name="password"
            label="Password"
            type="password"
            autoComplete="new-password"
            hint="8 characters or more"
            problem={error}
          />
          <SubmitButton loading={isPending} fullWidth>
            Make the account
          </SubmitButton>
        </Form>
        <Typography color="textSecondary" sx={{ mt: 3 }}>
          You have one already?{' '}
          <MuiLink component={Link} to="/sign-in" state={{ from }}>
            Sign in
          </MuiLink>
        </Typography>
      </Page>
    </Box>
  );
}
