/**
 * Requests a snapshot of application state from the source, and retries while the source has none.
 */

import { snapshotBytesMax } from '../../copy/contents/types.js'
import { HotspareError } from '../../errors.js'
import { fromPeer } from '../../protocol/fields.js'
import { onAbort } from '../../util/abort.js'
import type { RestoreContext } from './context.js'

/** Requests to a source that has no snapshot, before the restore is given up and started again. */
const attemptsMax = 10
/**
 * The first pause between two requests, in milliseconds; each is twice as long as the one before.
 */
const pauseMs = 1000
/** The longest pause between two requests, in milliseconds. */
const pauseMsMax = 60_000

const read = fromPeer('an answer of the source')

/** The snapshot that the source has made. */
interface Ready {
  readonly bytes: number
  readonly seq: number
}

/**
 * Makes the source take a snapshot. It retries when that fails, so that what was already
 * transferred is not lost.
 *
 * @throws `SNAPSHOT_FAILED` when all attempts failed
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
