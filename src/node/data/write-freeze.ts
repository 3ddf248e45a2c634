/**
 * Freezes the writes of an active as the core orders. For a planned handover it waits until the
 * target has everything that this node has, and every positioned write is acknowledged at its
 * level, because its caller could not be answered after the role is given up.
 *
 * Invariant: the writer is frozen as last ordered, except during a drain, which at first lets
 * writes continue while the target is far behind. A drain ends when the core unfreezes, when
 * another drain begins, and with the tenure.
 */
import { HotspareError } from '../../errors.js'
import type { Clock, TimerHandle } from '../../interfaces/clock.js'
import type { Writer } from '../../replication/write/writer.js'

/**
 * Lag above which writes continue during a drain, for at most half of the remaining time, because
 * the target would never catch up under constant load.
 */
const drainBytesMax = 64 * 1024

export class Freeze {
  readonly #clock: Clock
  readonly #writer: Writer
  /** The drain in progress. */
  #drain: object | undefined

  constructor(clock: Clock, writer: Writer) {
    this.#clock = clock
    this.#writer = writer
  }

  begin(): void {
    this.#writer.freeze()
  }

  end(): void {
    this.#drain = undefined
    this.#writer.unfreeze()
  }

  /**
   * Waits until everything is durable here, on `target` if there is one, and acknowledged. The core
   * has frozen the writer before. While the target is far behind, writes continue for a while, so
   * that callers wait only for the last part. Without a target, missing acknowledgements are waited
   * for during half of the time and are no failure.
   *
   * @throws `SWITCHOVER_FAILED` when it takes too long, the target leaves, or the drain is no
   *   longer wanted
   * @throws `NOT_ACTIVE` when the role is lost
   */
  async drain(target: string | undefined, deadlineMs: number): Promise<void> {
    const drain = {}
    this.#drain = drain
    const late = (): HotspareError =>
      new HotspareError('SWITCHOVER_FAILED', `${target ?? 'the journal'} did not keep up in time`)
    if (target !== undefined && this.#lagBytes(drain, target) > drainBytesMax) {
      this.#writer.unfreeze()
      const nowMs = this.#clock.nowMs()
      await this.#untilClose(drain, target, drainBytesMax, nowMs + (deadlineMs - nowMs) / 2)
      this.#writer.freeze()
    }
    await within(this.#clock, deadlineMs, late, this.#writer.drained())
    if (target === undefined) {
      await this.#untilAnswered(deadlineMs)
      return await this.#writeMark(deadlineMs, late)
    }
    const slow = (): HotspareError => {
      const { unacknowledged } = this.#writer.status
      const message = `${unacknowledged} writes are not acknowledged yet at the level that they ask for`
      return new HotspareError('SWITCHOVER_FAILED', message)
    }
    await within(this.#clock, deadlineMs, slow, this.#writer.answered())
    await this.#writeMark(deadlineMs, late)
    // The target may have left meanwhile, or the drain may no longer be wanted.
    if (!(await this.#untilClose(drain, target, 0, deadlineMs))) throw late()
  }

  /** Whether the target came that close in time. */
  async #untilClose(
    drain: object,
    target: string,
    bytesMax: number,
    untilMs: number,
  ): Promise<boolean> {
    while (this.#lagBytes(drain, target) > bytesMax) {
      if (this.#clock.nowMs() > untilMs) return false
      await new Promise<void>((resolve) => this.#clock.setTimer(1, resolve))
    }
    return true
  }

  /**
   * Writes the mark by which the vault knows what had been acknowledged, in case the history
   * continues elsewhere.
   */
  async #writeMark(deadlineMs: number, late: () => Error): Promise<void> {
    this.#writer.mark()
    await within(this.#clock, deadlineMs, late, this.#writer.drained())
  }

  /**
   * Waits for acknowledgements during a stop, but only for a while, so that a missing standby does
   * not prevent an orderly stop.
   */
  async #untilAnswered(deadlineMs: number): Promise<void> {
    if (this.#writer.status.blocked) return
    const nowMs = this.#clock.nowMs()
    const untilMs = nowMs + Math.max(0, deadlineMs - nowMs) / 2
    const late = (): HotspareError => new HotspareError('SWITCHOVER_FAILED', 'no acknowledgement')
    await within(this.#clock, untilMs, late, this.#writer.answered()).catch(() => undefined)
  }

  /** Bytes of the journal that the target's disk lacks. */
  #lagBytes(drain: object, target: string): number {
    if (this.#drain !== drain) {
      throw new HotspareError('SWITCHOVER_FAILED', 'the switchover was given up')
    }
    const follower = this.#writer.status.followers.find((one) => one.id === target)
    if (follower === undefined)
      throw new HotspareError(
        'SWITCHOVER_FAILED',
        `the standby ${target} left the in-sync set meanwhile`,
      )
    return follower.lagSeq === 0 ? 0 : Math.max(1, follower.lagBytes)
  }
}

/** Settles like `work`, or rejects at the deadline. */
async function within<T>(
  clock: Clock,
  deadlineMs: number,
  late: () => Error,
  work: Promise<T>,
): Promise<T> {
  let timer: TimerHandle
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = clock.setTimer(Math.max(0, deadlineMs - clock.nowMs()), () => reject(late()))
  })
  try {
    return await Promise.race([work, deadline])
  } finally {
    clock.clearTimer(timer)
  }
}
