import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useId, type ReactNode } from 'react';

interface Props {
  readonly title: string;
  /** What is shown, in a line. */
  readonly about: string;
  readonly children: ReactNode;
}

/** A part of the overview with its heading. */
export function Panel({ title, about, children }: Props) {
  const id = useId();
  return (
    <Box component="section" aria-labelledby={id} sx={{ minWidth: 0 }}>
      <Typography variant="h2" id={id}>
        {title}
      </Typography>
      <Typography variant="body2" color="textSecondary" sx={{ mb: 2 }}>
        {about}
      </Typography>
      {children}
    </Box>
  );
}
