/**
 * Holds the writes of an active back, as the core says, and waits for a planned handover until the
 * target has everything that this node has, and every write that has its place is acknowledged at
 * its level: once the role is given up, nobody could tell its caller any more.
 *
 * Invariant: the writer is frozen as the core said last, but for the drain that runs: it lets
 * writes go on at first while the target is far behind. A drain ends when the core unfreezes, when
 * another one begins, and with the tenure.
 */
import { HotspareError } from '../../errors.js'
import type { Clock, TimerHandle } from '../../interfaces/clock.js'
import type { Writer } from '../../replication/write/writer.js'

/**
 * A target that is further behind than this may catch up while writes go on, for half of the time
 * that is left at most: under load that never ends it would never come closer.
 */
const drainBytesMax = 64 * 1024

export class Freeze {
  readonly #clock: Clock
  readonly #writer: Writer
  /** The drain that runs. */
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
   * Waits until all is durable here, and on `target` too, when it is given, and until all is
   * acknowledged. The core has frozen the writer before; while the target is far behind, writes go
   * on for a while, so that callers are held only for the last stretch. Without a target,
   * acknowledgements that do not come are waited for during half of the time, and fail nothing.
   *
   * @throws `SWITCHOVER_FAILED` when it takes too long, the target leaves or the drain is not
   *   wanted any more
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
    // It may have left meanwhile, or the drain may be wanted no more.
    if (!(await this.#untilClose(drain, target, 0, deadlineMs))) throw late()
  }

  /** Says whether the target came so close in time. */
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

  /** Should the history go on elsewhere, the vault says by this mark what had been acknowledged. */
  async #writeMark(deadlineMs: number, late: () => Error): Promise<void> {
    this.#writer.mark()
    await within(this.#clock, deadlineMs, late, this.#writer.drained())
  }

  /**
   * A node that stops: whoever waits for a standby that does not come keeps it from stopping in
   * order only for a while.
   */
  async #untilAnswered(deadlineMs: number): Promise<void> {
    if (this.#writer.status.blocked) return
    const nowMs = this.#clock.nowMs()
    const untilMs = nowMs + Math.max(0, deadlineMs - nowMs) / 2
    const late = (): HotspareError => new HotspareError('SWITCHOVER_FAILED', 'no acknowledgement')
    await within(this.#clock, untilMs, late, this.#writer.answered()).catch(() => undefined)
  }

  /** Bytes of journal that the target's disk is behind. */
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

/** Settles as `work` does, or rejects at the deadline. */
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
