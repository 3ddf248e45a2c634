/** Writes the durable facts one document after the other, each until the disk accepts it. */
import type { DurableFacts } from '../../core/state/facts.js'
import type { NodeOptions } from '../contract/options.js'

export interface FactsWriterContext {
  readonly options: Pick<NodeOptions, 'clock' | 'heartbeatMs'>
  writeFacts(facts: DurableFacts): Promise<void>
  /** The facts with this id are durable. */
  persisted(id: number): void
  onError(error: unknown): void
  /** Reports that an attempt failed or, without an error, succeeded. */
  tried(error?: unknown): void
}

export class FactsWriter {
  readonly #context: FactsWriterContext
  #latest: DurableFacts
  #writing: Promise<void> = Promise.resolve()
  /** The ids of facts that wait for the next write. */
  #waiting: number[] = []
  #open = true

  constructor(context: FactsWriterContext, facts: DurableFacts) {
    this.#context = context
    this.#latest = facts
  }

  /** The latest facts, durable or not. */
  get latest(): DurableFacts {
    return this.#latest
  }

  /**
   * Writes facts. Everything that arrives during a write is written by the next one, because the
   * latest facts include the earlier ones.
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

  /** Stops repeating failed writes; pending facts are still written once. */
  close(): void {
    this.#open = false
  }

  /** Resolves when all facts are durable or are no longer tried. */
  settled(): Promise<void> {
    return this.#writing
  }

  /**
   * Repeats the write until it succeeds. The core waits for the answer, and a full disk is tried
   * again.
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
