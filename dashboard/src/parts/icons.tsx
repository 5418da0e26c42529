import SvgIcon, { type SvgIconProps } from '@mui/material/SvgIcon';
import type { ReactNode } from 'react';

/** An icon of lines, 1.7 wide in a square of 24. */
function lines(children: ReactNode) {
  return function Icon(props: SvgIconProps) {
    return (
      <SvgIcon fontSize="small" aria-hidden {...props}>
        <g
          fill="none"
          stroke="currentColor"
          strokeWidth="1.7"
          strokeLinecap="round"
          strokeLinejoin="round"
        >
          {children}
        </g>
      </SvgIcon>
    );
  };
}

export const CartIcon = lines(
  <>
    <path d="M3 5h2.2l2 9.5h10l1.9-7H6" />
    <circle cx="9" cy="19" r="1.3" />
    <circle cx="16" cy="19" r="1.3" />
  </>,
);

export const PersonIcon = lines(
  <>
    <circle cx="12" cy="8.5" r="3.5" />
    <path d="M5 20c.8-3.6 3.5-5.5 7-5.5s6.2 1.9 7 5.5" />
  </>,
);

export const SearchIcon = lines(
  <>
    <circle cx="11" cy="11" r="6" />
    <path d="m20 20-4.5-4.5" />
  </>,
);

export const SunIcon = lines(
  <>
    <circle cx="12" cy="12" r="3.8" />
    <path d="M12 3v2M12 19v2M3 12h2M19 12h2M5.7 5.7l1.4 1.4M16.9 16.9l1.4 1.4M5.7 18.3l1.4-1.4M16.9 7.1l1.4-1.4" />
  </>,
);

export const MoonIcon = lines(<path d="M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10Z" />);

export const DeviceIcon = lines(
  <>
    <rect x="4" y="5" width="16" height="11" rx="1.5" />
    <path d="M9 20h6M12 16v4" />
  </>,
);

export const PlusIcon = lines(<path d="M12 6v12M6 12h12" />);

export const MinusIcon = lines(<path d="M6 12h12" />);

export const CheckIcon = lines(<path d="m5 12.5 4.5 4.5L19 7.5" />);

export const CrossIcon = lines(<path d="m7 7 10 10M17 7 7 17" />);

export const BackIcon = lines(<path d="M15 5.5 8.5 12l6.5 6.5" />);

export const ForwardIcon = lines(<path d="M9 5.5 15.5 12 9 18.5" />);
