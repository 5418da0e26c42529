import FormControl from '@mui/material/FormControl';
import FormHelperText from '@mui/material/FormHelperText';
import FormLabel from '@mui/material/FormLabel';
import OutlinedInput, { type OutlinedInputProps } from '@mui/material/OutlinedInput';
import { useId, type ReactNode } from 'react';
import { Failure } from '../api/problem';

interface Props extends Omit<OutlinedInputProps, 'error' | 'id' | 'label' | 'name'> {
  /** The field of the request, by which an error names it. */
  readonly name: string;
  readonly label: string;
  /** What a good value is. */
  readonly hint?: ReactNode;
  /** What became of the request. */
  readonly problem: unknown;
}

/** A field of a form, with its label above it, and what the server says about it below. */
export function Field({ name, label, hint, problem, ...input }: Props) {
  const id = useId();
  const wrong = problem instanceof Failure ? problem.fields.get(name) : undefined;
  const help = wrong ?? hint;
  return (
    <FormControl error={wrong !== undefined} fullWidth>
      <FormLabel
        htmlFor={id}
        sx={{ fontSize: '0.8438rem', fontWeight: 500, color: 'text.primary', mb: 0.5 }}
      >
        {label}
      </FormLabel>
      <OutlinedInput
        {...input}
        id={id}
        name={name}
        inputProps={{
          ...input.inputProps,
          ...(help === undefined ? {} : { 'aria-describedby': `${id}-help` }),
        }}
      />
      {help !== undefined && (
        <FormHelperText id={`${id}-help`} sx={{ mx: 0 }}>
          {wrong === undefined ? help : `${label} ${wrong}`}
        </FormHelperText>
      )}
    </FormControl>
  );
}
