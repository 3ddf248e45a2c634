/** Writes the facts about roles, one document after the other, until the disk has taken them. */
import type { DurableFacts } from '../../core/state/facts.js'
import type { NodeOptions } from '../contract/options.js'

export interface FactsWriterContext {
  readonly options: Pick<NodeOptions, 'clock' | 'heartbeatMs'>
  writeFacts(facts: DurableFacts): Promise<void>
  /** The facts that were given with this id are durable. */
  persisted(id: number): void
  onError(error: unknown): void
  /** Another attempt failed, or, without an error, the disk took them. */
  tried(error?: unknown): void
}

export class FactsWriter {
  readonly #context: FactsWriterContext
  #latest: DurableFacts
  #writing: Promise<void> = Promise.resolve()
  /** Whoever waits for facts that are not being written yet. */
  #waiting: number[] = []
  #open = true

  constructor(context: FactsWriterContext, facts: DurableFacts) {
    this.#context = context
    this.#latest = facts
  }

  /** What was given last, be it durable or not. */
  get latest(): DurableFacts {
    return this.#latest
  }

  /**
   * All that became due while the last write was under way is written at once: the latest facts
   * stand for all.
   */
  write(id: number, facts: DurableFacts): void {
    this.#latest = facts
    this.#waiting.push(id)
    if (this.#waiting.length > 1) return
    this.#writing = this.#writing.then(() => {
      const ids = this.#waiting
      this.#waiting = []
      return this.#untilDurable(ids, this.#latest)
    })
  }

  /** Tries no failed write again; what was given before is written once all the same. */
  close(): void {
    this.#open = false
  }

  /** Resolves when everything that was given is durable, or is not tried again. */
  settled(): Promise<void> {
    return this.#writing
  }

  /**
   * What is not durable is not answered: the core waits, and a disk that was full is tried again.
   */
  async #untilDurable(ids: readonly number[], facts: DurableFacts): Promise<void> {
    const { clock, heartbeatMs } = this.#context.options
    for (let attempt = 0; attempt === 0 || this.#open; attempt += 1) {
      try {
        await this.#context.writeFacts(facts)
        if (attempt > 0) this.#context.tried()
        for (const id of ids) this.#context.persisted(id)
        return
      } catch (error) {
        if (attempt === 0) this.#context.onError(error)
        this.#context.tried(error)
        await new Promise<void>((resolve) => clock.setTimer(heartbeatMs, resolve))
      }
    }
  }
}
