import Alert from '@mui/material/Alert';
import Stack from '@mui/material/Stack';
import { useEffect, useRef, type ReactNode } from 'react';
import { Failure } from '../api/problem';

interface Props {
  /** Given the values when the form is sent. */
  readonly onSend: (values: FormData) => void;
  /** What became of the last request. */
  readonly problem: unknown;
  /** The name of the form, for people who do not see it. */
  readonly label: string;
  readonly children: ReactNode;
}

/**
 * A form whose values the server checks: its words are the only ones.
 *
 * What names no field of the form stands above it; after a refusal, the first wrong field has the focus.
 */
export function Form({ onSend, problem, label, children }: Props) {
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (problem != null) form.current?.querySelector<HTMLElement>('[aria-invalid=true]')?.focus();
  }, [problem]);
  return (
    <Stack
      component="form"
      ref={form}
      noValidate
      aria-label={label}
      spacing={2}
      onSubmit={(event) => {
        event.preventDefault();
        onSend(new FormData(event.currentTarget));
      }}
    >
      <Refusal problem={problem} />
      {children}
    </Stack>
  );
}

/** A text value of a form. */
export function textOf(values: FormData, name: string): string {
  const value = values.get(name);
  return typeof value === 'string' ? value : '';
}

/** What went wrong, unless each word of it stands beside a field. */
export function Refusal({ problem }: { readonly problem: unknown }) {
  if (problem == null) return null;
  // The dialog asks for the password: that says enough.
  if (problem instanceof Failure && (problem.fields.size > 0 || isExpiry(problem))) return null;
  return (
    <Alert severity="error" variant="outlined">
      {problem instanceof Error ? problem.message : 'This did not work.'}
    </Alert>
  );
}

/** The gateway's 401 has no code: the token was refused. The function's own 401 is about a password. */
function isExpiry(problem: Failure): boolean {
  return problem.status === 401 && problem.code === '';
}
