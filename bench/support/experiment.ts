/** The context of an experiment. */
export interface BenchContext {
  /** Measured rounds wanted; every contestant runs once a round. */
  readonly rounds: number
  /** Smaller data and shorter loads, to check that everything works, not to judge. */
  readonly quick: boolean
  /** After so many milliseconds no further round begins. */
  readonly budgetMs: number
  /** A directory of this run alone; everything below it is removed at the very end. */
  readonly root: string
  /** Reports progress on standard error. */
  log(line: string): void
}

/** One measured quantity of one contestant. */
export interface Row {
  readonly contestant: string
  readonly measure: string
  readonly unit: string
  readonly median: number
  readonly least: number
  readonly most: number
}

/** The findings of an experiment. */
export interface Findings {
  /** Rounds that were actually measured. */
  readonly rounds: number
  /** How many times better hotspare is than each peer; above 1 is better. */
  readonly ratios: Readonly<Record<string, number>>
  /** Medians of everything measured, by `contestant.measure`, and facts about the data. */
  readonly values: Readonly<Record<string, number>>
  /** Whether the goal is met; null when it cannot be judged, for example without the peer. */
  readonly met: boolean | null
  readonly rows: readonly Row[]
  /**
   * What a reader must know to judge the figures: peers that are missing, how a peer was driven.
   */
  readonly notes: readonly string[]
}

/** One experiment, in a file of its own. */
export interface Experiment {
  readonly name: string
  /** The goal it judges, as in `docs/performance.md`. */
  readonly goal: string
  readonly title: string
  /** What must hold for `met`, in words. */
  readonly target: string
  run(context: BenchContext): Promise<Findings>
}
