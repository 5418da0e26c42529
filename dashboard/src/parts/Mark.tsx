import Box from '@mui/material/Box';

/** Cells of a side. */
const SIDE = 4;

/** The colours: hues that go with the page's green. */
const HUES = [24, 48, 96, 152, 176, 206, 232, 268, 330];

/** 32 bits that are the same for the same text (FNV-1a). */
function digest(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  return hash >>> 0;
}

/** A quarter of a circle in the cell at `x`, `y`, turned by `turn` quarters. */
function quarter(x: number, y: number, turn: number): string {
  const corners = [
    [0, 0, 1, 0, 0, 1],
    [1, 0, 1, 1, 0, 0],
    [1, 1, 0, 1, 1, 0],
    [0, 1, 0, 0, 1, 1],
  ];
  const [cx = 0, cy = 0, fx = 0, fy = 0, tx = 0, ty = 0] = corners[turn % 4] ?? [];
  return `M${x + cx} ${y + cy}L${x + fx} ${y + fy}A1 1 0 0 1 ${x + tx} ${y + ty}Z`;
}

/** A pattern in the place of a picture, which the API has none of: always the same for one product. */
export function Mark({ id, ratio = 4 / 3 }: { readonly id: string; readonly ratio?: number }) {
  const seed = digest(id);
  const hue = HUES[seed % HUES.length] ?? 152;
  const columns = Math.round(SIDE * ratio);
  const cells = Array.from({ length: columns * SIDE }, (_, cell) => {
    const bits = digest(`${id} ${cell}`);
    const path = quarter(cell % columns, Math.floor(cell / columns), bits % 4);
    return { path, strength: (bits >>> 3) % 4 };
  });
  return (
    <Box
      component="svg"
      viewBox={`0 0 ${columns} ${SIDE}`}
      preserveAspectRatio="xMidYMid slice"
      aria-hidden
      sx={(theme) => ({
        display: 'block',
        width: '100%',
        aspectRatio: ratio,
        backgroundColor: `hsl(${hue} 32% 91%)`,
        color: `hsl(${hue} 34% 46%)`,
        ...theme.applyStyles('dark', {
          backgroundColor: `hsl(${hue} 16% 17%)`,
          color: `hsl(${hue} 30% 58%)`,
        }),
      })}
    >
      {cells.map(({ path, strength }) => (
        <path key={path} d={path} fill="currentColor" opacity={strength * 0.22} />
      ))}
    </Box>
  );
}
