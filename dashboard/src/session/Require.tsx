import { Navigate, Outlet, useLocation } from 'react-router';
import { Page } from '../parts/Page';
import { useSession } from './session';

/** Pages of a person who is signed in. Others sign in first, and come back. */
export function RequireUser() {
  const location = useLocation();
  if (useSession() === null) return <Navigate to="/sign-in" replace state={{ from: location }} />;
  return <Outlet />;
}

/** Pages of operators. The functions check the role; this only says so earlier. */
export function RequireAdmin() {
  const location = useLocation();
  const session = useSession();
  if (session === null) return <Navigate to="/sign-in" replace state={{ from: location }} />;
  if (!session.isAdmin) {
    return (
      <Page
        title="For operators"
        lead="This part is for admins of the shop. Sign in as one to see it."
      >
        {null}
      </Page>
    );
  }
  return <Outlet />;
}
