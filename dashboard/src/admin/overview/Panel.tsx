import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useId, type ReactNode } from 'react';

/** Panels beside each other where there is room for two. */
export const PANELS = {
  display: 'grid',
  gap: 5,
  gridTemplateColumns: { xs: 'minmax(0, 1fr)', lg: 'repeat(2, minmax(0, 1fr))' },
};

interface Props {
  readonly title: string;
  /** What is shown, in a line. */
  readonly about: string;
  /** What chooses what is shown. */
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

/** A part of the overview with its heading. */
export function Panel({ title, about, actions, children }: Props) {
  const id = useId();
  return (
    <Box component="section" aria-labelledby={id} sx={{ minWidth: 0 }}>
      <Box sx={{ display: 'flex', flexWrap: 'wrap', gap: 1.5, alignItems: 'start', mb: 2 }}>
        <Box sx={{ flexGrow: 1 }}>
          <Typography variant="h2" id={id}>
            {title}
          </Typography>
          <Typography variant="body2" color="textSecondary">
            {about}
          </Typography>
        </Box>
        {actions}
      </Box>
      {children}
    </Box>
  );
}
