// One figure with its last minutes as a line. The line is for eyes; the figure is the text.
import { linePoints, samplesMax } from '../figures.ts'
import { html } from '../html.ts'

export interface FigureTileProps {
  readonly label: string
  readonly value: string
  readonly note?: string
  readonly values: readonly number[]
  /** The top of the drawing where all values are lower. */
  readonly least: number
  /** A second line, fainter. */
  readonly others?: readonly number[]
}

const width = 240
const height = 48

export function FigureTile({ label, value, note, values, least, others }: FigureTileProps) {
  const top = Math.max(least, ...values, ...(others ?? []))
  const line = (of: readonly number[]) => linePoints(of, { width, height, least: top })
  const points = line(values)
  const start = points.split(',', 1)[0] ?? '0'
  return html`<div class="figure">
    <span class="figure-label">${label}</span>
    <span class="figure-value">${value}</span>
    <span class="figure-note muted small">${note ?? ''}</span>
    <svg viewBox=${`0 -2 ${width} ${height + 4}`} preserveAspectRatio="none" aria-hidden="true" data-samples=${samplesMax}>
      ${
        values.length > 1 &&
        html`<polygon class="area" points=${`${start},${height} ${points} ${width},${height}`} />
        ${others !== undefined && html`<polyline class="line faint" points=${line(others)} />`}
        <polyline class="line" points=${points} />`
      }
    </svg>
  </div>`
}
