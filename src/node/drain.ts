/** The wait of a planned handover: until the target has everything that this node has. */
import { HotspareError } from '../errors.js'
import type { Clock } from '../interfaces/clock.js'
import type { Writer } from '../replication/writer.js'

/** A target that is further behind than this catches up before writes are held for a switchover. */
const drainBytesMax = 64 * 1024

export interface DrainOptions {
  readonly clock: Clock
  readonly writer: Writer
  /** False when the role was lost meanwhile. */
  isCurrent(): boolean
  /** Another member; undefined when nobody else has to have it. */
  readonly target: string | undefined
  readonly deadlineMs: number
}

/**
 * Waits until all is durable here, and on `target` too. The writer was frozen before; while the target is far behind,
 * writes go on, so that callers are held only for the last stretch.
 *
 * @throws `SWITCHOVER_FAILED` when it takes too long or the target leaves, `NOT_ACTIVE` when the role is lost
 */
export async function drain(options: DrainOptions): Promise<void> {
  const { clock, writer, target, deadlineMs } = options
  const late = (): HotspareError =>
    new HotspareError('SWITCHOVER_FAILED', `${target ?? 'the journal'} did not keep up in time`)
  const untilClose = async (to: string, bytesMax: number): Promise<void> => {
    while (lagBytes(options, to) > bytesMax) {
      if (clock.nowMs() > deadlineMs) throw late()
      await new Promise<void>((resolve) => clock.setTimer(1, resolve))
    }
  }
  if (target !== undefined && lagBytes(options, target) > drainBytesMax) {
    writer.unfreeze()
    await untilClose(target, drainBytesMax)
    writer.freeze()
  }
  await within(clock, deadlineMs, late, writer.drained())
  if (target !== undefined) await untilClose(target, 0)
}

/** Bytes of journal that the target's disk is behind. */
function lagBytes({ writer, isCurrent }: DrainOptions, target: string): number {
  if (!isCurrent()) throw new HotspareError('NOT_ACTIVE', 'the role was lost')
  const follower = writer.status.followers.find((one) => one.id === target)
  if (follower === undefined) throw new HotspareError('SWITCHOVER_FAILED', `${target} left`)
  return follower.lagSeq === 0 ? 0 : Math.max(1, follower.lagBytes)
}

/** Settles as `work` does, or rejects at the deadline. */
async function within<T>(
  clock: Clock,
  deadlineMs: number,
  late: () => Error,
  work: Promise<T>,
): Promise<T> {
  let timer: unknown
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = clock.setTimer(Math.max(0, deadlineMs - clock.nowMs()), () => reject(late()))
  })
  try {
    return await Promise.race([work, deadline])
  } finally {
    clock.clearTimer(timer)
  }
}
