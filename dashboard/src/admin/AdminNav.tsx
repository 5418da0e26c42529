import Box from '@mui/material/Box';
import { useEffect, useRef } from 'react';
import { NavLink, useLocation } from 'react-router';

const PAGES = [
  { to: '/admin', text: 'Overview', end: true },
  { to: '/admin/fleet', text: 'Fleet' },
  { to: '/admin/orders', text: 'Orders' },
  { to: '/admin/products', text: 'Products' },
  { to: '/admin/users', text: 'Users' },
  { to: '/admin/payments', text: 'Payment provider' },
  { to: '/admin/keys', text: 'Keys' },
];

/** The pages of operators: a column where there is room for one, and a row elsewhere. */
export function AdminNav() {
  const row = useRef<HTMLElement>(null);
  const { pathname } = useLocation();
  // A phone shows a part of the row: the page that is open shall be in it.
  useEffect(() => {
    const open = row.current?.querySelector('[aria-current="page"]');
    open?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [pathname]);
  return (
    <Box
      component="nav"
      ref={row}
      aria-label="Operations"
      sx={{
        display: 'flex',
        flexDirection: { xs: 'row', md: 'column' },
        gap: 0.25,
        overflowX: { xs: 'auto', md: 'visible' },
        mx: { xs: -2, sm: 0 },
        px: { xs: 2, sm: 0 },
        position: { md: 'sticky' },
        top: 24,
      }}
    >
      {PAGES.map(({ to, text, end }) => (
        <Box
          key={to}
          component={NavLink}
          to={to}
          end={end === true}
          sx={{
            color: 'text.secondary',
            textDecoration: 'none',
            whiteSpace: 'nowrap',
            fontSize: '0.875rem',
            fontWeight: 500,
            px: 1.25,
            py: 0.75,
            ml: { md: -1.25 },
            borderRadius: 1,
            '&:hover': { color: 'text.primary' },
            '&:focus-visible': { outlineOffset: '-2px !important' },
            '&.active': { color: 'text.primary', bgcolor: 'primary.light' },
          }}
        >
          {text}
        </Box>
      ))}
    </Box>
  );
}
