import { useEffect, useState } from 'react';

/** The present time, milliseconds since 1970; told again after each pause, if one is given. */
export function useNow(pause: number | undefined): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (pause === undefined) return undefined;
    const timer = setInterval(() => setNow(Date.now()), pause);
    return () => clearInterval(timer);
  }, [pause]);
  return now;
}
