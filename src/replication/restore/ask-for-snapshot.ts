/**
 * Snapshots of application state on their way from the source, and from where they were staged into
 * the copy.
 */

import { snapshotBytesMax } from '../../copy/contents/types.js'
import { HotspareError } from '../../errors.js'
import { fromPeer } from '../../protocol/fields.js'
import { onAbort } from '../../util/abort.js'
import type { RestoreContext } from './context.js'

/**
 * Times that a source without a snapshot is asked; then the restore is given up, and begun again.
 */
const attemptsMax = 10
/**
 * The first pause between two of them, in milliseconds; each is twice as long as the one before.
 */
const pauseMs = 1000
/** The longest pause between two of them, in milliseconds. */
const pauseMsMax = 60_000

const read = fromPeer('an answer of the source')

/** What the source has ready. */
interface Ready {
  readonly bytes: number
  readonly seq: number
}

/**
 * Has the source take a snapshot. One that fails is waited for, with all else that has arrived.
 *
 * @throws `SNAPSHOT_FAILED` when there is still none after a while
 */
export async function askForSnapshot(context: RestoreContext, className: string): Promise<Ready> {
  const { bulk, signal } = context
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await bulk.request({ op: 'state', className }, ({ body }) => readyOf(body))
    } catch (error) {
      if (!HotspareError.is(error, 'SNAPSHOT_FAILED')) throw error
      if (attempt === attemptsMax) throw error
      context.waits(error)
    }
    await pause(context, Math.min(pauseMs * 2 ** (attempt - 1), pauseMsMax))
    signal.throwIfAborted()
  }
}

function readyOf(body: unknown): Ready {
  const fields = read.fields(body, 'state')
  return {
    bytes: read.count(fields.bytes, 'bytes', snapshotBytesMax),
    seq: read.count(fields.seq, 'seq'),
  }
}

function pause({ clock, signal }: RestoreContext, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(ms, done)
    const unlisten = onAbort(signal, done)
    function done(): void {
      clock.clearTimer(timer)
      unlisten()
      resolve()
    }
  })
}
