import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { dateTime } from '../format/time';
import { Page } from '../parts/Page';
import { claimsOf } from '../session/claims';
import { useSession } from '../session/session';
import { MONOSPACE } from '../theme/theme';

const COMMANDS = [
  { command: 'cargo zerocart keys', what: 'the keys of the local engine, and how old they are' },
  { command: 'cargo zerocart keys --context NAME', what: 'the keys of a cluster' },
  { command: 'cargo zerocart keys rotate', what: 'sign with new keys from now on' },
  { command: 'cargo zerocart keys retire', what: 'forget keys whose last token has expired' },
];

/** What is known here about the keys that sign tokens. */
export function Keys() {
  const { kid, exp } = claimsOf(useSession()?.token ?? '');
  return (
    <Page title="Keys" lead="Keys sign the tokens of people and of functions.">
      <Box sx={{ display: 'grid', gap: 4, maxWidth: 720 }}>
        {kid !== undefined && (
          <Box component="section" aria-labelledby="own">
            <Typography variant="h2" id="own" sx={{ mb: 1 }}>
              The key of your session
            </Typography>
            <Typography>
              Key <code style={{ fontFamily: MONOSPACE }}>{kid}</code> signed your token
              {exp === undefined ? '.' : `, which expires on ${dateTime(exp * 1000)}.`}
            </Typography>
          </Box>
        )}
        <Alert severity="info" variant="outlined">
          The API does not tell the ages of keys. On the machine of the engine, these commands show
          and change them:
        </Alert>
        <Box
          component="dl"
          sx={{
            m: 0,
            display: 'grid',
            gridTemplateColumns: { sm: 'auto 1fr' },
            columnGap: 3,
            rowGap: 1,
            '& dt': { fontFamily: MONOSPACE, fontSize: '0.8438rem' },
            '& dd': { m: 0, color: 'text.secondary', mb: { xs: 1, sm: 0 } },
          }}
        >
          {COMMANDS.map(({ command, what }) => (
            <Box key={command} sx={{ display: 'contents' }}>
              <dt>{command}</dt>
              <dd>{what}</dd>
            </Box>
          ))}
        </Box>
      </Box>
    </Page>
  );
}
