/** Callers that wait until enough standbys are in sync. */
import { abortable } from '../../util/abort.js'

interface Waiting {
  readonly count: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

export class Redundancy {
  readonly #holds: (count: number) => boolean
  readonly #waiting = new Set<Waiting>()

  /** @param holds - whether that many standbys are in sync now */
  constructor(holds: (count: number) => boolean) {
    this.#holds = holds
  }

  /**
   * Resolves when that many standbys are in sync.
   *
   * @throws `ABORTED`, and the error that is passed to {@link Redundancy.end}
   */
  async reached(count: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#holds(count)) return
    let waiting: Waiting | undefined
    const reached = (): Promise<void> =>
      new Promise((resolve, reject) => {
        waiting = { count, resolve, reject }
        this.#waiting.add(waiting)
      })
    try {
      await abortable(reached, signal)
    } finally {
      if (waiting !== undefined) this.#waiting.delete(waiting)
    }
  }

  /** Called when the role or the in-sync set may have changed. */
  check(): void {
    for (const { count, resolve } of this.#waiting) if (this.#holds(count)) resolve()
  }

  /** Rejects all callers, because the node stops. */
  end(error: Error): void {
    for (const { reject } of this.#waiting) reject(error)
  }
}
