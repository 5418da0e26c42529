import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import Typography from '@mui/material/Typography';
import { useState } from 'react';
import { useSetUserState } from '../../api/users';
import type { User } from '../../api/types';
import { Refusal } from '../../parts/Form';
import { SubmitButton } from '../../parts/SubmitButton';

/** Disables an account, or enables it again, after a question. */
export function SetState({ user }: { readonly user: User }) {
  const [asking, setAsking] = useState(false);
  const set = useSetUserState(user.id);
  const disabled = user.state === 'DISABLED';
  const word = disabled ? 'Enable' : 'Disable';
  const close = () => {
    setAsking(false);
    set.reset();
  };
  return (
    <>
      <Button
        size="small"
        color={disabled ? 'primary' : 'error'}
        aria-label={`${word} ${user.name}`}
        onClick={() => setAsking(true)}
      >
        {word}
      </Button>
      <Dialog open={asking} onClose={close} aria-labelledby={user.id} maxWidth="xs" fullWidth>
        <DialogTitle id={user.id} variant="h2">
          {word} the account of {user.name}?
        </DialogTitle>
        <DialogContent>
          <Typography sx={{ mb: set.isError ? 2 : 0 }}>
            {disabled
              ? 'The owner can sign in again. Tokens from before stay void.'
              : 'The owner cannot sign in any more, and every token stops within a minute.'}
          </Typography>
          <Refusal problem={set.error} />
        </DialogContent>
        <DialogActions sx={{ px: 3, pb: 2 }}>
          <Button autoFocus onClick={close}>
            Leave it
          </Button>
          <SubmitButton
            type="button"
            color={disabled ? 'primary' : 'error'}
            loading={set.isPending}
            onClick={() => set.mutate(disabled ? 'ACTIVE' : 'DISABLED', { onSuccess: close })}
          >
            {word}
          </SubmitButton>
        </DialogActions>
      </Dialog>
    </>
  );
}
