import type { BenchContext, Findings, Row } from './experiment.js'
import { median } from './statistics.js'

/** The measures of one contestant in one round. */
export type Sample = Readonly<Record<string, number>>

/** A program that takes part in an experiment. */
export interface Contestant {
  readonly name: string
  /**
   * Runs the experiment once and returns its measures. Round -1 is the warm-up and is not counted.
   */
  run(round: number): Promise<Sample>
}

/** The samples of all contestants; the n-th sample of each belongs to the n-th round. */
export interface Rounds {
  readonly count: number
  readonly samples: ReadonlyMap<string, readonly Sample[]>
}

/**
 * Runs the contestants in turns, so that a slow minute of the machine affects all of them. Every
 * other round runs in reverse order, so that no contestant always follows the same one.
 */
export async function alternate(
  context: BenchContext,
  contestants: readonly Contestant[],
  options: { readonly warmUp: boolean },
): Promise<Rounds> {
  const samples = new Map<string, Sample[]>(contestants.map(({ name }) => [name, []]))
  const startMs = performance.now()
  let count = 0
  for (let round = options.warmUp ? -1 : 0; round < context.rounds; round += 1) {
    if (count > 0 && performance.now() - startMs > context.budgetMs) {
      context.log(`the time is up after ${count} of ${context.rounds} rounds`)
      break
    }
    const order = round % 2 === 0 ? contestants : [...contestants].reverse()
    for (const contestant of order) {
      const sample = await contestant.run(round)
      context.log(`${round < 0 ? 'warm-up' : `round ${round + 1}`} ${describe(contestant, sample)}`)
      if (round >= 0) samples.get(contestant.name)?.push(sample)
    }
    if (round >= 0) count += 1
  }
  return { count, samples }
}

function describe(contestant: Contestant, sample: Sample): string {
  const figures = Object.entries(sample).map(([name, value]) => `${name} ${round3(value)}`)
  return `${contestant.name}: ${figures.join(', ')}`
}

/** The median of one measure of one contestant; undefined when it did not take part. */
export function medianOf(rounds: Rounds, contestant: string, measure: string): number | undefined {
  const values = valuesOf(rounds, contestant, measure)
  return values.length === 0 ? undefined : median(values)
}

/** All values of one measure of one contestant, in the order of the rounds. */
export function valuesOf(rounds: Rounds, contestant: string, measure: string): number[] {
  const samples = rounds.samples.get(contestant) ?? []
  return samples.map((sample) => sample[measure]).filter((value) => value !== undefined)
}

/** One measure of a contestant, for {@link ratio}. */
export type Figure = readonly [contestant: string, measure: string]

/**
 * The median over all rounds of first / second, both taken from the same round; undefined when one
 * of the two is missing. Put the one for which *more* is better first for rates, and the peer first
 * for times.
 */
export function ratio(rounds: Rounds, first: Figure, second: Figure): number | undefined {
  const above = valuesOf(rounds, ...first)
  const below = valuesOf(rounds, ...second)
  if (above.length === 0 || above.length !== below.length) return undefined
  return median(above.map((value, index) => value / (below[index] ?? Number.NaN)))
}

/** Whether every ratio reaches its goal; null as soon as one is missing. */
export function reaches(pairs: readonly (readonly [number | undefined, number])[]): boolean | null {
  if (pairs.some(([value]) => value === undefined)) return null
  return pairs.every(([value, goal]) => value !== undefined && value >= goal)
}

/** Combines everything that the command prints. */
export function findings(
  rounds: Rounds,
  judged: {
    readonly ratios: Readonly<Record<string, number | undefined>>
    readonly met: boolean | null
    readonly notes: readonly string[]
    readonly values?: Readonly<Record<string, number>>
  },
): Findings {
  const rows = rowsOf(rounds)
  const values: Record<string, number> = {}
  for (const row of rows) values[`${row.contestant}.${row.measure}`] = round3(row.median)
  for (const [name, value] of Object.entries(judged.values ?? {})) values[name] = round3(value)
  const ratios: Record<string, number> = {}
  for (const [peer, value] of Object.entries(judged.ratios)) {
    if (value !== undefined) ratios[peer] = round3(value)
  }
  return { rounds: rounds.count, ratios, values, met: judged.met, rows, notes: judged.notes }
}

function rowsOf(rounds: Rounds): Row[] {
  const rows: Row[] = []
  for (const [contestant, samples] of rounds.samples) {
    for (const measure of Object.keys(samples[0] ?? {})) {
      const values = valuesOf(rounds, contestant, measure)
      rows.push({
        contestant,
        measure,
        unit: unitOf(measure),
        median: median(values),
        least: Math.min(...values),
        most: Math.max(...values),
      })
    }
  }
  return rows
}

/** Measures carry their unit last in their name. */
function unitOf(measure: string): string {
  if (measure.endsWith('PerSecond')) return '1/s'
  if (measure.endsWith('Micros')) return 'us'
  if (measure.endsWith('Ms')) return 'ms'
  if (measure.endsWith('Bytes')) return 'B'
  if (measure.endsWith('Percent')) return '%'
  return ''
}

/** Three significant digits after the point for small numbers, none for large ones. */
export function round3(value: number): number {
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(4))
}
