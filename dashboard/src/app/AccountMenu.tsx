import Box from '@mui/material/Box';
import Divider from '@mui/material/Divider';
import IconButton from '@mui/material/IconButton';
import Menu from '@mui/material/Menu';
import MenuItem from '@mui/material/MenuItem';
import Typography from '@mui/material/Typography';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { PersonIcon } from '../parts/icons';
import { end } from '../session/session';

/** Who is signed in, and what this person can do about it. */
export function AccountMenu({ name, email }: { readonly name: string; readonly email: string }) {
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const queries = useQueryClient();
  const navigate = useNavigate();
  const close = () => setAnchor(null);
  return (
    <>
      <IconButton
        color="inherit"
        aria-label={`Account of ${name}`}
        aria-haspopup="menu"
        aria-expanded={anchor !== null}
        onClick={(event) => setAnchor(event.currentTarget)}
      >
        <PersonIcon />
      </IconButton>
      <Menu anchorEl={anchor} open={anchor !== null} onClose={close}>
        <Box component="li" role="none" sx={{ px: 2, pb: 1, maxWidth: 280 }}>
          <Typography variant="h3" component="p" noWrap>
            {name}
          </Typography>
          <Typography variant="body2" color="textSecondary" noWrap>
            {email}
          </Typography>
        </Box>
        <Divider component="li" role="none" sx={{ mb: 1 }} />
        <MenuItem
          onClick={() => {
            close();
            void navigate('/account');
          }}
        >
          Account
        </MenuItem>
        <MenuItem
          onClick={() => {
            close();
            end(queries);
            void navigate('/');
          }}
        >
          Sign out
        </MenuItem>
      </Menu>
    </>
  );
}
