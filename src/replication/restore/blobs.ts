/** Brings single things over a bulk lane: a blob into the own storage, durable and verified; journal entries. */
import { crc32 } from 'node:zlib'
import { HotspareError } from '../../errors.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { BlobRef } from '../change.js'
import { entryBytesMax } from '../entry.js'
import type { Extent } from '../position.js'
import type { BulkClient } from '../stream/bulk-client.js'
import { fieldsOf, seqOf } from '../stream/wire-fields.js'

const chunkBytes = 256 * 1024
/** Requests under way for one blob. */
const window = 4

/** Whether an earlier stream has brought it whole: a blob's bytes never change. */
async function hasBlob(storage: OpenStorage, blob: BlobRef): Promise<boolean> {
  const found = await storage.objects.list('blobs', blob.id)
  if (!found.some(({ name, bytes }) => name === blob.id && bytes === blob.bytes)) return false
  let crc = 0
  for (let offset = 0; offset < blob.bytes; offset += chunkBytes) {
    crc = crc32(await storage.objects.read('blobs', blob.id, offset, chunkBytes), crc)
  }
  if (crc !== blob.crc) return false
  try {
    await storage.objects.sync('blobs', [blob.id])
    return true
  } catch {
    // After a failed sync nobody knows what is on the disk: it is written anew.
    return false
  }
}

export async function fetchBlob(
  bulk: BulkClient,
  storage: OpenStorage,
  blob: BlobRef,
  signal: AbortSignal,
): Promise<void> {
  if (await hasBlob(storage, blob)) return
  await storage.objects.remove('blobs', [blob.id])
  // The next pieces are asked for before this one is there: none may be longer than what an answer has room for.
  const pieceBytes = Math.min(chunkBytes, bulk.room)
  let crc = 0
  let asked = 0
  let written = 0
  const answers: Promise<Uint8Array>[] = []
  const ask = (): void => {
    const length = Math.min(pieceBytes, blob.bytes - asked)
    const request = { op: 'blob', blob: blob.id, offset: asked, length } as const
    const answer = bulk.request(request, ({ bytes }) => new Uint8Array(bytes))
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

/** Whole entries that follow a position, as many as fit one answer, at least one; none when there are none. */
export async function fetchEntries(bulk: BulkClient, extent: Extent): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let offset = 0
  let total = 0
  do {
    const request = { op: 'entries', extent, offset } as const
    const { body, bytes } = await bulk.request(request, (answer) => ({
      body: answer.body,
      bytes: new Uint8Array(answer.bytes),
    }))
    total = seqOf(fieldsOf(body, 'entries').total, 'total')
    if (total > entryBytesMax || (bytes.length === 0 && offset < total)) {
      throw new HotspareError('PROTOCOL_VIOLATION', 'an answer with journal entries is malformed')
    }
    parts.push(bytes)
    offset += bytes.length
  } while (offset < total)
  return parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts)
}
