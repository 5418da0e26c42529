import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import Typography from '@mui/material/Typography';
import { useState } from 'react';
import { useArchiveProduct } from '../../api/products';
import type { Product } from '../../api/types';
import { Refusal } from '../../parts/Form';
import { SubmitButton } from '../../parts/SubmitButton';

/** Takes a product out of the catalogue, after a question. */
export function ArchiveProduct({ product }: { readonly product: Product }) {
  const [asking, setAsking] = useState(false);
  const archive = useArchiveProduct(product.id);
  const close = () => setAsking(false);
  return (
    <Box component="section" aria-labelledby="archive">
      <Typography variant="h2" id="archive">
        Archive
      </Typography>
      <Typography variant="body2" color="textSecondary" sx={{ mt: 0.5, mb: 1.5 }}>
        The product leaves the catalogue for good. Orders keep it.
      </Typography>
      <Button variant="outlined" color="error" onClick={() => setAsking(true)}>
        Archive
      </Button>
      <Dialog open={asking} onClose={close} aria-labelledby="archive-it" maxWidth="xs" fullWidth>
        <DialogTitle id="archive-it" variant="h2">
          Archive “{product.name}”?
        </DialogTitle>
        <DialogContent>
          <Typography>
            Customers cannot find or order it any more. This cannot be undone.
          </Typography>
          <Refusal problem={archive.error} />
        </DialogContent>
        <DialogActions sx={{ px: 3, pb: 2 }}>
          <Button autoFocus onClick={close}>
            Keep it
          </Button>
          <SubmitButton
            type="button"
            color="error"
            loading={archive.isPending}
            onClick={() => archive.mutate(null, { onSuccess: close })}
          >
            Archive
          </SubmitButton>
        </DialogActions>
      </Dialog>
    </Box>
  );
}
