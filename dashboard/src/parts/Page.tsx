import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useEffect, useRef, type ReactNode } from 'react';
import { Link } from 'react-router';
import MuiLink from '@mui/material/Link';
import { BackIcon } from './icons';

interface Props {
  /** What the page is, as its heading and the name of the browser's tab. */
  readonly title: string;
  /** A line below the heading. */
  readonly lead?: ReactNode;
  /** Where it belongs. */
  readonly back?: { readonly to: string; readonly text: string };
  /** What can be done with the whole page, beside the heading. */
  readonly actions?: ReactNode;
  readonly children: ReactNode;
}

/** A page below the bar: it names itself, and screen readers begin at its heading. */
export function Page({ title, lead, back, actions, children }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} – zerocart`;
  }, [title]);
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <Box>
      {back !== undefined && (
        <MuiLink
          component={Link}
          to={back.to}
          underline="hover"
          variant="body2"
          sx={{
            display: 'inline-flex',
            alignItems: 'center',
            ml: -0.5,
            mb: 1,
            color: 'text.secondary',
          }}
        >
          <BackIcon sx={{ fontSize: 18 }} />
          {back.text}
        </MuiLink>
      )}
      <Box sx={{ display: 'flex', flexWrap: 'wrap', gap: 2, alignItems: 'flex-end', mb: 3 }}>
        <Box sx={{ flexGrow: 1, minWidth: 0 }}>
          <Typography variant="h1" tabIndex={-1} ref={heading} sx={{ outline: 'none !important' }}>
            {title}
          </Typography>
          {lead !== undefined && (
            <Typography color="textSecondary" component="div" sx={{ mt: 0.5 }}>
              {lead}
            </Typography>
          )}
        </Box>
        {actions}
      </Box>
      {children}
    </Box>
  );
}
