/** Snapshots of application state on their way from the source, and from where they were staged into the copy. */

import { snapshotBytesMax } from '../../copy/contents/types.js'
import { HotspareError } from '../../errors.js'
import type { ObjectStore } from '../../interfaces/storage.js'
import { fieldsOf, seqOf } from '../../protocol/fields.js'
import type { RestoreContext } from './context.js'
import { malformed } from './index-pages.js'

/** How often a source without a snapshot is asked before the restore is given up, and begun again. */
const attemptsMax = 10
/** The first pause between two of them, in milliseconds; each is twice as long as the one before. */
const pauseMs = 1000
const pauseMsMax = 60_000
/** Bytes of a snapshot in one call to the storage. */
const chunkBytes = 4 * 1024 * 1024

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
  const fields = fieldsOf(body, 'state')
  const bytes = seqOf(fields.bytes, 'bytes')
  if (bytes > snapshotBytesMax) throw malformed()
  return { bytes, seq: seqOf(fields.seq, 'seq') }
}

function pause({ clock, signal }: RestoreContext, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.setTimer(ms, done)
    signal.addEventListener('abort', done, { once: true })
    function done(): void {
      clock.clearTimer(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
  })
}

/** Puts a snapshot among what a restore brought. */
export async function stageSnapshot(
  objects: ObjectStore,
  object: string,
  bytes: Uint8Array,
): Promise<void> {
  await objects.remove('staging', [object])
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    const chunk = bytes.subarray(offset, offset + chunkBytes)
    const slice = { name: object, offset, start: 0, length: chunk.length }
    await objects.write('staging', chunk, [slice])
  }
}

/** A staged snapshot; undefined when there is none. */
export async function stagedSnapshot(
  objects: ObjectStore,
  object: string,
): Promise<Uint8Array | undefined> {
  const found = await objects.list('staging', object)
  const info = found.find(({ name }) => name === object)
  if (info === undefined) return undefined
  const bytes = Buffer.allocUnsafeSlow(info.bytes)
  for (let offset = 0; offset < bytes.length; ) {
    const chunk = await objects.read('staging', object, offset, chunkBytes)
    if (chunk.length === 0) return undefined
    bytes.set(chunk, offset)
    offset += chunk.length
  }
  return bytes
}
