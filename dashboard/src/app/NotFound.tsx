import Button from '@mui/material/Button';
import { Link } from 'react-router';
import { Page } from '../parts/Page';

export function NotFound() {
  return (
    <Page title="There is no such page" lead="The address may be mistyped, or the page has moved.">
      <Button component={Link} to="/" variant="outlined">
        To the catalogue
      </Button>
    </Page>
  );
}
