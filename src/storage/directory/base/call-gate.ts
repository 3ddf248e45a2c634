/**
 * Admits the calls of an open storage. It refuses calls after the end, lets `close` wait for those
 * under way, and renews the lock before a call when this process was suspended so long that another
 * one may have taken it.
 */

import { HotspareError } from '../../../errors.js'

/** The part of the lock that the gate uses. */
export interface Guard {
  /** Whether the last renewal is so old that another process may have taken the lock. */
  readonly isOverdue: boolean
  /** Renews the lock; returns why it is lost, or undefined when this process still has it. */
  renew(): Promise<string | undefined>
}

/** The gate of one open storage. */
export class CallGate {
  #guard: Guard | undefined
  /**
   * The renewal of the lock that is under way. All calls wait for the same one, which preserves
   * their order.
   */
  #renewing: Promise<void> | undefined
  #ended: string | undefined
  #underWay = 0
  #idle: (() => void) | undefined

  /** Refuses every later call for this reason; the first reason stays. */
  end(why: string): void {
    this.#ended ??= why
  }

  /** @throws `STORAGE_FAILED` after the end */
  check(): void {
    if (this.#ended !== undefined) throw new HotspareError('STORAGE_FAILED', this.#ended)
  }

  /** From now on calls renew this lock when it is overdue. */
  watch(guard: Guard): void {
    this.#guard = guard
  }

  /**
   * Undefined while this process certainly has the lock; else a promise that resolves when the lock
   * was renewed. It rejects with `STORAGE_FAILED` when the lock is lost, which ends the storage.
   */
  confirmLock(): Promise<void> | undefined {
    if (this.#renewing !== undefined) return this.#renewing
    if (this.#guard?.isOverdue !== true) return undefined
    this.#renewing = this.#renew(this.#guard)
    const done = (): void => {
      this.#renewing = undefined
    }
    this.#renewing.then(done, done)
    return this.#renewing
  }

  async #renew(guard: Guard): Promise<void> {
    const lost = await guard.renew()
    if (lost !== undefined) this.end(lost)
    this.check()
  }

  /** Counts a call until {@link leave}. @throws `STORAGE_FAILED` after the end */
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
      const confirmed = this.confirmLock()
      if (confirmed !== undefined) await confirmed
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
