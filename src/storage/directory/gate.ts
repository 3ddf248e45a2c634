/**
 * What every call of an open storage goes through: it refuses calls after the end, and lets `close`
 * wait for those under way.
 */

import { HotspareError } from '../../errors.js'

/** The gate of one open storage. */
export class Gate {
  #ended: string | undefined
  #underWay = 0
  #idle: (() => void) | undefined

  /** Why calls are refused; undefined while they are not. */
  get ended(): string | undefined {
    return this.#ended
  }

  /** Refuses every later call for this reason; the first reason stays. */
  end(why: string): void {
    this.#ended ??= why
  }

  /** @throws `STORAGE_FAILED` after the end */
  check(): void {
    if (this.#ended !== undefined) throw new HotspareError('STORAGE_FAILED', this.#ended)
  }

  /** Counts a call whose end {@link leave} tells. @throws `STORAGE_FAILED` after the end */
  enter(): void {
    this.check()
    this.#underWay += 1
  }

  leave(): void {
    this.#underWay -= 1
    if (this.#underWay === 0) this.#idle?.()
  }

  /** Runs an action as one call. */
  async run<T>(action: () => Promise<T>): Promise<T> {
    this.enter()
    try {
      return await action()
    } finally {
      this.leave()
    }
  }

  /** Resolves when no call is under way. */
  idle(): Promise<void> {
    if (this.#underWay === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#idle = resolve
    })
  }
}
