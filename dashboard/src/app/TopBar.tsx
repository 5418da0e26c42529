import Badge from '@mui/material/Badge';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import IconButton from '@mui/material/IconButton';
import { Link, NavLink, useLocation, type Location } from 'react-router';
import { useCart } from '../api/cart';
import { counted } from '../format/money';
import { CartIcon } from '../parts/icons';
import { useSession } from '../session/session';
import { AccountMenu } from './AccountMenu';
import { ColorMenu } from './ColorMenu';

/** Units in the cart. */
function useUnits(): number {
  const { data } = useCart();
  return data?.items.reduce((sum, { quantity }) => sum + quantity, 0) ?? 0;
}

/** The bar at the top of every page. */
export function TopBar() {
  const session = useSession();
  const units = useUnits();
  const location: Location = useLocation();
  const isForm = location.pathname.startsWith('/sign-');
  const state: unknown = isForm ? location.state : { from: location };
  const links = [
    { to: '/', text: 'Catalogue', end: true },
    ...(session === null ? [] : [{ to: '/orders', text: 'Orders', end: false }]),
    ...(session?.isAdmin === true ? [{ to: '/admin', text: 'Operations', end: false }] : []),
  ];
  return (
    <Box
      component="header"
      sx={{
        borderBottom: 1,
        borderColor: 'divider',
        bgcolor: 'background.paper',
        px: { xs: 2, sm: 3 },
        display: 'flex',
        flexWrap: 'wrap',
        alignItems: 'center',
        columnGap: 1,
        minHeight: 56,
      }}
    >
      <Box
        component={Link}
        to="/"
        sx={{
          color: 'text.primary',
          textDecoration: 'none',
          fontSize: '1.0625rem',
          fontWeight: 650,
          letterSpacing: '-0.03em',
          mr: 2,
          py: 1,
        }}
      >
        zero
        <Box component="span" sx={{ color: 'primary.main' }}>
          cart
        </Box>
      </Box>
      <Box
        component="nav"
        aria-label="Main"
        sx={{
          display: 'flex',
          gap: 2.5,
          flexGrow: 1,
          order: { xs: 9, sm: 0 },
          width: { xs: '100%', sm: 'auto' },
        }}
      >
        {links.map(({ to, text, end }) => (
          <Box
            key={to}
            component={NavLink}
            to={to}
            end={end}
            sx={{
              color: 'text.secondary',
              textDecoration: 'none',
              fontSize: '0.875rem',
              fontWeight: 500,
              py: { xs: 1, sm: 2.1 },
              borderBottom: 2,
              borderColor: 'transparent',
              mb: '-1px',
              '&:hover': { color: 'text.primary' },
              '&.active': { color: 'text.primary', borderColor: 'primary.main' },
            }}
          >
            {text}
          </Box>
        ))}
      </Box>
      <Box sx={{ display: 'flex', alignItems: 'center', gap: 0.5, ml: 'auto' }}>
        <ColorMenu />
        {session !== null && (
          <IconButton
            component={Link}
            to="/cart"
            color="inherit"
            aria-label={units === 0 ? 'Cart, empty' : `Cart, ${counted(units, 'unit', 'units')}`}
          >
            <Badge badgeContent={units} color="primary" max={999}>
              <CartIcon />
            </Badge>
          </IconButton>
        )}
        {session === null ? (
          <Button
            component={Link}
            to="/sign-in"
            state={state}
            size="small"
            variant="outlined"
            sx={{ ml: 1 }}
          >
            Sign in
          </Button>
        ) : (
          <AccountMenu name={session.user.name} email={session.user.email} />
        )}
      </Box>
    </Box>
  );
}
