import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Skeleton from '@mui/material/Skeleton';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import type { ReactNode } from 'react';
import { Failure } from '../api/problem';

/** Nothing is here, and what to do about it. */
export function Empty({
  title,
  children,
}: {
  readonly title: string;
  readonly children?: ReactNode;
}) {
  return (
    <Box
      sx={{
        border: 1,
        borderColor: 'divider',
        borderRadius: 1,
        px: 3,
        py: 5,
        textAlign: 'center',
      }}
    >
      <Typography variant="h2" component="p">
        {title}
      </Typography>
      {children !== undefined && (
        <Typography color="textSecondary" component="div" sx={{ mt: 1 }}>
          {children}
        </Typography>
      )}
    </Box>
  );
}

/** Something is being read. */
export function Loading({ what, rows = 4 }: { readonly what: string; readonly rows?: number }) {
  return (
    <Stack spacing={1} role="status" aria-label={`${what}: loading`}>
      {Array.from({ length: rows }, (_, row) => (
        <Skeleton key={row} variant="rounded" height={44} />
      ))}
    </Stack>
  );
}

interface FailedProps {
  readonly error: Error;
  readonly retry: () => unknown;
}

/** Something could not be read: the server's words, and another try. */
export function Failed({ error, retry }: FailedProps) {
  const trace = error instanceof Failure ? error.traceId : undefined;
  return (
    <Alert
      severity="error"
      variant="outlined"
      action={
        <Button color="inherit" size="small" onClick={() => void retry()}>
          Try again
        </Button>
      }
    >
      {error.message}
      {trace !== undefined && (
        <Typography variant="caption" component="div" color="textSecondary">
          Trace {trace}
        </Typography>
      )}
    </Alert>
  );
}

interface Read<T> {
  readonly data: T | undefined;
  readonly error: Error | null;
  readonly refetch: () => unknown;
}

interface ReadProps<T> {
  readonly read: Read<T>;
  /** What is read, for people who do not see that it loads. */
  readonly what: string;
  readonly rows?: number;
  /** What to show instead of rows while it loads. */
  readonly loading?: ReactNode;
  readonly children: (data: T) => ReactNode;
}

/** What was read, or that it loads, or why it could not be read. What was read before stays. */
export function Show<T>({ read, what, rows, loading, children }: ReadProps<T>) {
  const { data, error, refetch } = read;
  if (data === undefined) {
    if (error !== null) return <Failed error={error} retry={refetch} />;
    return loading ?? <Loading what={what} {...(rows === undefined ? {} : { rows })} />;
  }
  return (
    <>
      {error !== null && (
        <Box sx={{ mb: 2 }}>
          <Failed error={error} retry={refetch} />
        </Box>
      )}
      {children(data)}
    </>
  );
}
