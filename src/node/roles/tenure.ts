/** The right to act as the active node, as the application holds it. */
import type { HotspareError } from '../../errors.js'
import type { Term } from '../../history/position.js'
import { sharedController } from '../../util/abort.js'

/**
 * One continuous time as active, held as a capability: its holder acts only while `signal` has not
 * aborted.
 */
export interface Tenure {
  /**
   * Aborts when the role is lost, with a `HotspareError` `NOT_ACTIVE` or `STOPPED` as its reason.
   */
  readonly signal: AbortSignal
  /**
   * A fencing token for the application's own side effects: higher than in every earlier tenure. It
   * can rise during the tenure.
   */
  readonly epoch: number
  /** The complete term. */
  readonly term: Term
  /** Resolves when the role is lost. */
  readonly ended: Promise<void>
}

/** The tenure as the node itself holds it. */
export class HeldTenure implements Tenure {
  readonly #abort = sharedController()
  readonly ended: Promise<void>
  readonly #end: () => void
  #term: Term

  constructor(term: Term) {
    this.#term = term
    let end = (): void => undefined
    this.ended = new Promise<void>((resolve) => {
      end = resolve
    })
    this.#end = end
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get epoch(): number {
    return this.#term.epoch
  }

  get term(): Term {
    return this.#term
  }

  /** The tenure continues in a further term. */
  raise(term: Term): void {
    this.#term = term
  }

  end(error: HotspareError): void {
    this.#abort.abort(error)
    this.#end()
  }
}

/** Runs application code during each tenure, one after the other. */
export class TenureRunner {
  #current: HeldTenure | undefined
  readonly #waiting = new Set<(tenure: HeldTenure) => void>()

  get current(): HeldTenure | undefined {
    return this.#current
  }

  begin(term: Term): void {
    const tenure = new HeldTenure(term)
    this.#current = tenure
    for (const tell of [...this.#waiting]) tell(tenure)
  }

  raise(term: Term): void {
    this.#current?.raise(term)
  }

  end(error: HotspareError): void {
    const tenure = this.#current
    this.#current = undefined
    tenure?.end(error)
  }

  /**
   * Calls `serve` for each tenure until `signal` aborts. If it throws, the loop ends with that
   * error.
   */
  async run(serve: (tenure: Tenure) => Promise<void> | void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const tenure = await this.#next(signal)
      if (tenure === undefined) return
      try {
        await serve(tenure)
      } catch (error) {
        // Code that is interrupted by the loss of the role usually throws for that reason.
        if (!tenure.signal.aborted) throw error
      }
      await ended(tenure, signal)
    }
  }

  #next(signal: AbortSignal): Promise<HeldTenure | undefined> {
    if (this.#current !== undefined) return Promise.resolve(this.#current)
    return new Promise((resolve) => {
      const done = (tenure: HeldTenure | undefined): void => {
        this.#waiting.delete(done)
        signal.removeEventListener('abort', onAbort)
        resolve(tenure)
      }
      const onAbort = (): void => done(undefined)
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.add(done)
    })
  }
}

/** Resolves at the end of the tenure, or when the signal aborts. */
function ended(tenure: Tenure, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve()
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener('abort', done)
      resolve()
    }
    signal.addEventListener('abort', done)
    void tenure.ended.then(done)
  })
}
