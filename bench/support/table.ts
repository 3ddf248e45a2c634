import type { Experiment, Findings } from './experiment.js'
import { round3 } from './rounds.js'

/** Formats the findings for people. */
export function printable(experiment: Experiment, found: Findings): string {
  const head = ['contestant', 'measure', 'median', 'least', 'most', 'unit']
  const body = found.rows.map((row) => [
    row.contestant,
    row.measure,
    figure(row.median),
    figure(row.least),
    figure(row.most),
    row.unit,
  ])
  const ratios = Object.entries(found.ratios).map(([peer, value]) => `${peer} ${figure(value)} x`)
  const verdict = found.met === null ? 'cannot be judged' : found.met ? 'met' : 'NOT met'
  return [
    `${experiment.name} (${experiment.goal}): ${experiment.title}`,
    ...columns([head, ...body]).map((line) => `  ${line}`),
    `  ratios (above 1: hotspare is better): ${ratios.length === 0 ? 'none' : ratios.join(', ')}`,
    `  goal ${experiment.target}: ${verdict}; median of ${found.rounds} rounds`,
    ...found.notes.map((note) => `  note: ${note}`),
    '',
  ].join('\n')
}

function figure(value: number): string {
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : String(round3(value))
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  )
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0
        return column >= 2 && column <= 4 ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd(),
  )
}
