import Box from '@mui/material/Box';
import Link from '@mui/material/Link';
import { lazy, Suspense, useEffect } from 'react';
import { NavigationType, useLocation, useNavigationType } from 'react-router';
import { Loading } from '../parts/states';
import { useSession } from '../session/session';
import { PAGE_WIDTH } from '../theme/theme';
import { ErrorBoundary } from './ErrorBoundary';
import { Pages } from './Pages';
import { TopBar } from './TopBar';
import { Unreachable } from './Unreachable';

const SignInAgain = lazy(() => import('../session/SignInAgain'));

/** What is around every page. */
export function Shell() {
  const session = useSession();
  const { pathname } = useLocation();
  const navigation = useNavigationType();
  // A new page begins at its top; the browser itself goes back to where it was.
  useEffect(() => {
    if (navigation !== NavigationType.Pop) window.scrollTo(0, 0);
  }, [pathname, navigation]);
  const wide = pathname.startsWith('/admin');
  return (
    <>
      <Link
        href="#main"
        sx={{
          position: 'absolute',
          left: 8,
          top: -60,
          zIndex: 2000,
          p: 1,
          bgcolor: 'background.paper',
          '&:focus': { top: 8 },
        }}
      >
        Skip to the content
      </Link>
      <TopBar />
      <Unreachable />
      <Box
        component="main"
        id="main"
        sx={{
          maxWidth: wide ? 1440 : PAGE_WIDTH,
          mx: 'auto',
          px: { xs: 2, sm: 3 },
          pt: { xs: 3, sm: 4 },
          pb: 8,
        }}
      >
        <ErrorBoundary key={pathname}>
          <Suspense fallback={<Loading what="The page" />}>
            <Pages />
          </Suspense>
        </ErrorBoundary>
      </Box>
      {session?.expired === true && (
        <Suspense>
          <SignInAgain email={session.user.email} />
        </Suspense>
      )}
    </>
  );
}
