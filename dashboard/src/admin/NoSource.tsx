import Alert from '@mui/material/Alert';

interface Props {
  /** What cannot be shown, as the beginning of a sentence. */
  readonly what: string;
  /** The engine's words on how to get it. */
  readonly how: string;
}

/** A panel whose engine does not know what it shows. */
export function NoSource({ what, how }: Props) {
  return (
    <Alert severity="info" variant="outlined">
      {what} not known to this engine. To get it: {how}.
    </Alert>
  );
}
