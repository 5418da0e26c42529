import Box from '@mui/material/Box';
import { skipToken, useQuery } from '@tanstack/react-query';
import { REACHABLE } from '../api/client';

/** A line below the bar while nothing answers. What was read before stays on the page. */
export function Unreachable() {
  const { data } = useQuery<boolean>({
    queryKey: REACHABLE,
    queryFn: skipToken,
    initialData: true,
    staleTime: Infinity,
    gcTime: Infinity,
  });
  return (
    <Box role="status">
      {!data && (
        <Box
          sx={{
            px: 2,
            py: 1,
            textAlign: 'center',
            fontSize: '0.8438rem',
            bgcolor: 'text.primary',
            color: 'background.default',
          }}
        >
          The shop does not answer. What you see may be old; it is tried again.
        </Box>
      )}
    </Box>
  );
}
