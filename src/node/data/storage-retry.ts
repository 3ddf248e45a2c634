/**
 * A disk that was full has room again some time: that is looked for also while no stream is
 * followed.
 */

import type { LocalCopy } from '../../copy/local-copy.js'
import type { Clock, TimerHandle } from '../../interfaces/clock.js'

export interface StorageRetryOptions {
  readonly clock: Clock
  readonly everyMs: number
  readonly copy: LocalCopy
  mayReopen(): boolean
  /** `failedAgain`: as `failed`, for a further attempt. */
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

  /** Tries at once. */
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
