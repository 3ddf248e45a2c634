/**
 * What every call of an open storage goes through: it refuses calls after the end, lets `close`
 * wait for those under way, and makes sure of the lock first where this process stood still so long
 * that another one may have taken it.
 */

import { HotspareError } from '../../../errors.js'

/** What the gate asks of the lock. */
export interface Guard {
  /** Whether the lock was not renewed for so long that it may be another process's by now. */
  readonly isOverdue: boolean
  /** Renews the lock; answers why it is lost, or undefined when it is held. */
  renew(): Promise<string | undefined>
}

/** The gate of one open storage. */
export class Gate {
  #guard: Guard | undefined
  /**
   * The look at the lock that is under way, which all calls wait for, so that they go on in their
   * order.
   */
  #looking: Promise<void> | undefined
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

  /** From now on calls make sure of this lock. */
  watch(guard: Guard): void {
    this.#guard = guard
  }

  /**
   * Undefined while the lock is surely held; else a promise that resolves when it was looked at and
   * is. It rejects with `STORAGE_FAILED` when it is lost, which ends the storage.
   */
  assured(): Promise<void> | undefined {
    if (this.#looking !== undefined) return this.#looking
    if (this.#guard?.isOverdue !== true) return undefined
    this.#looking = this.#look(this.#guard)
    const done = (): void => {
      this.#looking = undefined
    }
    this.#looking.then(done, done)
    return this.#looking
  }

  async #look(guard: Guard): Promise<void> {
    const lost = await guard.renew()
    if (lost !== undefined) this.end(lost)
    this.check()
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
      const assured = this.assured()
      if (assured !== undefined) await assured
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
