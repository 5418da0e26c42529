import { useTheme } from '@mui/material/styles';

/** The height of a chart, pixels. */
export const CHART_HEIGHT = 240;

/** The look of what all charts have, in the colours of the theme. */
export function useChartLook() {
  const { vars, typography } = useTheme();
  const { palette } = vars ?? {};
  const text = palette?.text.secondary ?? 'currentColor';
  return {
    palette,
    axis: {
      stroke: palette?.divider ?? 'currentColor',
      tick: { fill: text, fontSize: 12 },
      tickLine: false,
    },
    grid: { stroke: palette?.divider ?? 'currentColor', vertical: false },
    tooltip: {
      contentStyle: {
        background: palette?.background.paper ?? 'Canvas',
        border: `1px solid ${palette?.divider ?? 'currentColor'}`,
        borderRadius: 6,
        fontSize: 13,
        fontFamily: typography.fontFamily ?? 'inherit',
      },
      labelStyle: { color: text },
      isAnimationActive: false,
    },
    legend: { wrapperStyle: { fontSize: 13 }, iconType: 'square', iconSize: 9 } as const,
  };
}
