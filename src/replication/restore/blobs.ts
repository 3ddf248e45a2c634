/** Brings one blob over a bulk lane into the own storage, durable and verified. */
import { crc32 } from 'node:zlib'
import { HotspareError } from '../../errors.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { BlobRef } from '../change.js'
import type { BulkClient } from '../stream/bulk-client.js'

const chunkBytes = 256 * 1024
/** Requests under way for one blob. */
const window = 4

export async function fetchBlob(
  bulk: BulkClient,
  storage: OpenStorage,
  blob: BlobRef,
  signal: AbortSignal,
): Promise<void> {
  await storage.objects.remove('blobs', [blob.id])
  let crc = 0
  let asked = 0
  let written = 0
  const answers: Promise<Uint8Array>[] = []
  const ask = (): void => {
    const length = Math.min(chunkBytes, blob.bytes - asked)
    const request = { op: 'blob', blob: blob.id, offset: asked, length } as const
    const answer = bulk.request(request).then(({ bytes }) => bytes)
    answer.catch(() => undefined)
    answers.push(answer)
    asked += length
  }
  while (written < blob.bytes) {
    while (answers.length < window && asked < blob.bytes) ask()
    const bytes = await answers.shift()
    signal.throwIfAborted()
    if (bytes === undefined || bytes.length === 0) {
      throw new HotspareError('RESTORE_FAILED', `the blob ${blob.id} ends early`)
    }
    crc = crc32(bytes, crc)
    const slice = { name: blob.id, offset: written, start: 0, length: bytes.length }
    written += bytes.length
    await storage.objects.write('blobs', bytes, [slice])
  }
  if (crc !== blob.crc) {
    await storage.objects.remove('blobs', [blob.id])
    throw new HotspareError('FRAME_CORRUPT', `the blob ${blob.id} arrived damaged`)
  }
  if (blob.bytes > 0) await storage.objects.sync('blobs', [blob.id])
}
