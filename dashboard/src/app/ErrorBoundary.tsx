import Alert from '@mui/material/Alert';
import Button from '@mui/material/Button';
import { Component, type ReactNode } from 'react';

interface State {
  readonly failed: boolean;
}

/** Shows that a page broke, and offers to load the dashboard again, which a newer version may need. */
export class ErrorBoundary extends Component<{ readonly children: ReactNode }, State> {
  override readonly state: State = { failed: false };

  static getDerivedStateFromError(): State {
    return { failed: true };
  }

  override render(): ReactNode {
    if (!this.state.failed) return this.props.children;
    return (
      <Alert
        severity="error"
        variant="outlined"
        action={
          <Button color="inherit" size="small" onClick={() => location.reload()}>
            Load again
          </Button>
        }
      >
        This page could not be shown. There may be a newer version of it.
      </Alert>
    );
  }
}
