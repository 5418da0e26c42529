import Button, { type ButtonProps } from '@mui/material/Button';
import CircularProgress from '@mui/material/CircularProgress';

/**
 * A button of a write. The second click of a double click does nothing, and no click does while the request
 * runs. The button keeps the focus meanwhile, which a disabled one would lose.
 */
export function SubmitButton({ loading, onClick, startIcon, ...button }: ButtonProps) {
  const busy = loading === true;
  return (
    <Button
      variant="contained"
      type="submit"
      {...button}
      aria-disabled={busy}
      startIcon={
        busy ? <CircularProgress size={14} color="inherit" aria-label="Working" /> : startIcon
      }
      onClick={(event) => {
        if (busy || event.detail > 1) event.preventDefault();
        else onClick?.(event);
      }}
    />
  );
}
