/**
 * Opens a failed storage again at intervals, also while no stream is followed, because a full disk
 * may have space again.
 */

import type { LocalCopy } from '../../copy/local-copy.js'
import type { Clock, TimerHandle } from '../../interfaces/clock.js'

export interface StorageRetryOptions {
  readonly clock: Clock
  readonly everyMs: number
  readonly copy: LocalCopy
  mayReopen(): boolean
  /** `failedAgain`: another attempt failed. */
  report(event: 'failed' | 'failedAgain' | 'recovered'): void
}

export class StorageRetry {
  readonly #options: StorageRetryOptions
  #reopening: Promise<void> | undefined
  #timer: TimerHandle | undefined
  #closed = false

  constructor(options: StorageRetryOptions) {
    this.#options = options
    options.copy.onFailure(() => {
      options.report('failed')
      this.#schedule()
    })
  }

  /** Makes an attempt immediately. */
  reopen(): Promise<void> {
    const { copy, report } = this.#options
    this.#reopening ??= copy
      .reopen()
      .then(
        () => report('recovered'),
        (error: unknown) => {
          report('failedAgain')
          throw error
        },
      )
      .finally(() => {
        this.#reopening = undefined
      })
    return this.#reopening
  }

  close(): void {
    this.#closed = true
    this.#options.clock.clearTimer(this.#timer)
  }

  #schedule(): void {
    if (this.#closed) return
    const { clock, everyMs, copy, mayReopen } = this.#options
    clock.clearTimer(this.#timer)
    this.#timer = clock.setTimer(everyMs, () => {
      const { failed } = copy
      if (this.#closed || failed === undefined || failed.code === 'JOURNAL_CORRUPT') return
      if (!mayReopen()) return this.#schedule()
      this.reopen().catch(() => this.#schedule())
    })
  }
}
