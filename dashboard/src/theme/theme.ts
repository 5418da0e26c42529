import { createTheme } from '@mui/material/styles';

/** Ids, keys and other texts that people compare letter by letter. */
export const MONOSPACE = 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace';

/** Wide enough for two columns, and narrow enough to read. */
export const PAGE_WIDTH = 1120;

const sans = '"IBM Plex Sans Variable", system-ui, -apple-system, "Segoe UI", sans-serif';

/** The colours of the two schemes, by which scheme is chosen. */
const base = createTheme({
  cssVariables: { colorSchemeSelector: 'data-scheme' },
  colorSchemes: {
    light: {
      palette: {
        primary: {
          main: '#1f5c45',
          dark: '#174635',
          light: '#e4efe9',
          contrastText: '#ffffff',
        },
        secondary: { main: '#4a5a72' },
        success: { main: '#1f6b3f' },
        warning: { main: '#855600' },
        error: { main: '#a8321f' },
        info: { main: '#28568a' },
        background: { default: '#f7f6f2', paper: '#ffffff' },
        text: { primary: '#1b1d1a', secondary: '#565b52' },
        divider: 'rgba(27, 29, 26, 0.13)',
      },
    },
    dark: {
      palette: {
        primary: {
          main: '#8fd0b1',
          dark: '#6fb796',
          light: '#1f332a',
          contrastText: '#0b1a13',
        },
        secondary: { main: '#a9b8d0' },
        success: { main: '#84cf9e' },
        warning: { main: '#e3b565' },
        error: { main: '#f0958a' },
        info: { main: '#93bdf0' },
        background: { default: '#121411', paper: '#1a1d19' },
        text: { primary: '#e9eae4', secondary: '#a7ac9f' },
        divider: 'rgba(233, 234, 228, 0.15)',
      },
    },
  },
  shape: { borderRadius: 6 },
  typography: {
    fontFamily: sans,
    fontSize: 14,
    h1: { fontSize: '1.625rem', fontWeight: 600, letterSpacing: '-0.018em', lineHeight: 1.2 },
    h2: { fontSize: '1.0625rem', fontWeight: 600, letterSpacing: '-0.008em', lineHeight: 1.35 },
    h3: { fontSize: '0.9375rem', fontWeight: 600, lineHeight: 1.4 },
    body1: { fontSize: '0.9375rem', lineHeight: 1.55 },
    body2: { fontSize: '0.8438rem', lineHeight: 1.5 },
    caption: { fontSize: '0.7813rem', lineHeight: 1.45 },
    button: { textTransform: 'none', fontWeight: 550, fontSize: '0.875rem', letterSpacing: 0 },
  },
});

const { palette } = base.vars ?? base;

/** The look of the page: quiet, dense, with lines instead of shadows. */
export const theme = createTheme(base, {
  components: {
    MuiCssBaseline: {
      styleOverrides: {
        body: { textRendering: 'optimizeLegibility', overflowWrap: 'anywhere' },
        'a, button, input, textarea, [tabindex]': {
          '&:focus-visible': {
            outline: `2px solid ${palette.primary.main}`,
            outlineOffset: 2,
          },
        },
        '@media (prefers-reduced-motion: reduce)': {
          '*, ::before, ::after': {
            animationDuration: '0.01ms !important',
            transitionDuration: '0.01ms !important',
            scrollBehavior: 'auto !important',
          },
        },
      },
    },
    MuiButtonBase: { defaultProps: { disableRipple: true } },
    MuiButton: {
      defaultProps: { disableElevation: true },
      styleOverrides: { root: { whiteSpace: 'nowrap' } },
    },
    MuiPaper: { styleOverrides: { root: { backgroundImage: 'none' } } },
    MuiOutlinedInput: {
      styleOverrides: {
        root: { backgroundColor: palette.background.paper },
        input: { padding: '8px 12px' },
        multiline: { padding: 0 },
        notchedOutline: { borderColor: palette.text.secondary },
      },
    },
    MuiChip: { styleOverrides: { root: { fontWeight: 500 } } },
    MuiAlert: {
      styleOverrides: { root: { alignItems: 'center' }, message: { flexGrow: 1 } },
    },
    MuiTableCell: {
      styleOverrides: {
        root: { padding: '8px 12px', fontVariantNumeric: 'tabular-nums' },
        head: {
          color: palette.text.secondary,
          fontWeight: 500,
          fontSize: '0.7813rem',
          lineHeight: 1.4,
          whiteSpace: 'nowrap',
        },
      },
    },
    MuiTooltip: { defaultProps: { arrow: true } },
  },
});
