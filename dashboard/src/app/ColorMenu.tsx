import IconButton from '@mui/material/IconButton';
import ListItemIcon from '@mui/material/ListItemIcon';
import Menu from '@mui/material/Menu';
import MenuItem from '@mui/material/MenuItem';
import { useColorScheme } from '@mui/material/styles';
import { useState } from 'react';
import { DeviceIcon, MoonIcon, SunIcon } from '../parts/icons';

const MODES = [
  { mode: 'system', text: 'As the device', Icon: DeviceIcon },
  { mode: 'light', text: 'Light', Icon: SunIcon },
  { mode: 'dark', text: 'Dark', Icon: MoonIcon },
] as const;

/** Light or dark, or what the device says. */
export function ColorMenu() {
  const { mode, setMode } = useColorScheme();
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const { Icon } = MODES.find((known) => known.mode === mode) ?? MODES[0];
  return (
    <>
      <IconButton
        color="inherit"
        aria-label="Colours"
        aria-haspopup="menu"
        aria-expanded={anchor !== null}
        onClick={(event) => setAnchor(event.currentTarget)}
      >
        <Icon />
      </IconButton>
      <Menu anchorEl={anchor} open={anchor !== null} onClose={() => setAnchor(null)}>
        {MODES.map(({ mode: to, text, Icon: Symbol }) => (
          <MenuItem
            key={to}
            role="menuitemradio"
            aria-checked={to === mode}
            selected={to === mode}
            onClick={() => {
              setMode(to);
              setAnchor(null);
            }}
          >
            <ListItemIcon>
              <Symbol />
            </ListItemIcon>
            {text}
          </MenuItem>
        ))}
      </Menu>
    </>
  );
}
