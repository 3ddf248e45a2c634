/** The base of every simulated world: its time, the record of what happened, and the checkers. */
import type { NodeLogEvent } from '../../node/contract/events.js'
import type { Checker, Report } from './checkers/checker.js'
import type { Process } from './machine/machine.js'
import { drained, VirtualClock } from './machine/virtual-clock.js'
import { Timeline } from './record/timeline.js'
import type { WriteRecord } from './record/writes.js'

/**
 * An event that excuses the loss of an acknowledged write, because the nodes reported the loss or
 * did not cause it.
 */
export interface Excuse {
  readonly atMs: number
  readonly kind:
    | 'possibleLoss'
    | 'unprovenStart'
    | 'splitBrain'
    | 'takeOver'
    | 'givenUp'
    | 'damage'
    | 'twoActives'
  readonly node: string
}

/** A broken promise. */
export interface Violation {
  readonly checker: string
  readonly message: string
}

/** Time, record and checkers of a world. */
export class Stage {
  readonly seed: number
  readonly clock: VirtualClock = new VirtualClock()
  readonly timeline: Timeline
  readonly violations: Violation[] = []
  readonly excuses: Excuse[] = []
  readonly writes: WriteRecord[] = []
  /** The events of the members, except progress. */
  readonly events: NodeLogEvent[] = []
  /** The number of unsettled writes of living processes. */
  openWrites: number = 0
  /** The number of faults for which promise 2 makes an exception: cuts, freezes, slow links. */
  disturbances: number = 0
  readonly #checkers: Checker[] = []
  /** Functions that end the present faults. */
  readonly #undo = new Set<() => void>()

  constructor(seed: number, verbose: ((line: string) => void) | undefined) {
    this.seed = seed
    this.timeline = new Timeline(verbose)
  }

  get nowMs(): number {
    return this.clock.nowMs()
  }

  async run(forMs: number): Promise<void> {
    await drained()
    await this.clock.advance(this.nowMs + forMs)
  }

  /**
   * Runs until the condition holds, which is checked after each event. Answers false when that
   * takes longer than `maxMs`.
   */
  async until(condition: () => boolean, maxMs: number): Promise<boolean> {
    await drained()
    if (condition()) return true
    let holds = false
    await this.clock.advance(this.nowMs + maxMs, () => {
      holds = condition()
      return holds
    })
    return holds || condition()
  }

  later(delayMs: number, call: () => void): void {
    this.clock.setTimer(delayMs, call)
  }

  /** Ends a fault after a while, or when all faults end. */
  endsAfter(forMs: number, undo: () => void): void {
    const once = (): void => {
      if (this.#undo.delete(once)) undo()
    }
    this.#undo.add(once)
    this.later(forMs, once)
  }

  /** Ends the faults that would end after a while. */
  endFaults(): void {
    for (const undo of [...this.#undo]) undo()
  }

  /**
   * Runs until a promise of a node is settled. @throws what it rejects with, or an error after
   * `maxMs`
   */
  async settle<T>(work: Promise<T>, maxMs: number = 60_000): Promise<T> {
    let done = false
    const outcome = work.then(
      (value) => {
        done = true
        return { value }
      },
      (error: unknown) => {
        done = true
        return { error }
      },
    )
    if (!(await this.until(() => done, maxMs))) throw new Error(`not done within ${maxMs} ms`)
    const result = await outcome
    if ('error' in result) throw result.error
    return result.value
  }

  /** Adds a checker, created with a function by which it reports. */
  protected addChecker(make: (report: Report) => Checker): void {
    const name = { of: '' }
    const checker = make((message) => this.violate(name.of, message))
    name.of = checker.name
    this.#checkers.push(checker)
  }

  /** Records a broken promise. */
  violate(checker: string, message: string): void {
    this.timeline.add(this.nowMs, checker, 'VIOLATION', message)
    if (this.violations.length < 50) this.violations.push({ checker, message })
  }

  excuse(kind: Excuse['kind'], node: string): void {
    this.excuses.push({ atMs: this.nowMs, kind, node })
  }

  /** A write was settled. */
  settled(write: WriteRecord, process: Process): void {
    this.tell((checker) => checker.settled?.(write, process))
  }

  /** The cluster has recovered: checkers check the whole state. */
  async quiet(): Promise<void> {
    for (const checker of this.#checkers) {
      const looking = checker.quiet?.()
      // Reading may take virtual time, which passes only in `settle`.
      if (looking !== undefined) await this.settle(looking)
    }
  }

  /** Calls all checkers. */
  tell(call: (checker: Checker) => void): void {
    for (const checker of this.#checkers) call(checker)
  }
}
