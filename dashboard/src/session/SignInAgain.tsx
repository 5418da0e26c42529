import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import Typography from '@mui/material/Typography';
import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from 'react-router';
import { useSignIn } from '../api/users';
import { Field } from '../parts/Field';
import { Form, textOf } from '../parts/Form';
import { SubmitButton } from '../parts/SubmitButton';
import { end } from './session';

/** Asks for the password when a session has ended. The page below keeps what was typed into it. */
export default function SignInAgain({ email }: { readonly email: string }) {
  const signIn = useSignIn();
  const queries = useQueryClient();
  const navigate = useNavigate();
  return (
    <Dialog open fullWidth maxWidth="xs" aria-labelledby="sign-in-again">
      <DialogTitle id="sign-in-again" variant="h2" sx={{ pb: 0.5 }}>
        Your session has ended
      </DialogTitle>
      <DialogContent>
        <Typography color="textSecondary" sx={{ mb: 2 }}>
          Sign in again as {email}. This page stays as it is.
        </Typography>
        <Form
          label="Sign in again"
          problem={signIn.error}
          onSend={(values) => signIn.mutate({ email, password: textOf(values, 'password') })}
        >
          <input type="hidden" name="username" autoComplete="username" value={email} readOnly />
          <Field
            name="password"
            label="Password"
            type="password"
            autoComplete="current-password"
            autoFocus
            problem={signIn.error}
          />
          <SubmitButton loading={signIn.isPending}>Sign in</SubmitButton>
          <Button
            onClick={() => {
              end(queries);
              void navigate('/');
            }}
          >
            Sign out
          </Button>
        </Form>
      </DialogContent>
    </Dialog>
  );
}
