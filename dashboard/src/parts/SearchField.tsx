import InputAdornment from '@mui/material/InputAdornment';
import OutlinedInput from '@mui/material/OutlinedInput';
import { useEffect, useState } from 'react';
import { SearchIcon } from './icons';

/** How long a person may pause within a word, milliseconds. */
const PAUSE_MS = 250;

interface Props {
  readonly label: string;
  readonly value: string;
  readonly onSearch: (text: string) => void;
}

/** A field that searches while one types, once there is a pause. */
export function SearchField({ label, value, onSearch }: Props) {
  const [text, setText] = useState(value);
  const [shown, setShown] = useState(value);
  // The address has changed otherwise, by the back button or a link.
  if (value !== shown) {
    setShown(value);
    setText(value);
  }
  useEffect(() => {
    if (text === value) return undefined;
    const timer = setTimeout(() => onSearch(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text, value, onSearch]);
  return (
    <OutlinedInput
      type="search"
      value={text}
      placeholder={label}
      inputProps={{ 'aria-label': label, maxLength: 200 }}
      onChange={(event) => setText(event.target.value)}
      startAdornment={
        <InputAdornment position="start">
          <SearchIcon />
        </InputAdornment>
      }
      sx={{ flexGrow: 1, flexBasis: { xs: '100%', sm: 'auto' }, minWidth: 220 }}
    />
  );
}
