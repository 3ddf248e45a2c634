/**
 * Fetches single items over a bulk lane: a blob, durably and verified, into this node's storage; or
 * journal entries.
 */
import { crc32 } from 'node:zlib'
import type { BlobRef } from '../../changes/change.js'
import { entryBytesMax } from '../../changes/entry.js'
import { HotspareError } from '../../errors.js'
import type { Extent } from '../../history/position.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import { fromPeer } from '../../protocol/fields.js'
import type { BulkAnswer, BulkClient } from './client.js'
import { unpack } from './packed-content.js'

/** Bytes of a blob in one request. */
const chunkBytes = 256 * 1024
/**
 * A candidate requests less at a time, because on a slow link a long answer could take longer than
 * the time after which a silent peer counts as dead.
 */
const candidateChunkBytes = 32 * 1024
/** Bytes requested and not yet written, for one blob. */
const windowBytes = 4 * chunkBytes
/** Bytes of one answer with journal entries. */
const entriesBytes = 128 * 1024
/** Bytes read at a time of the part that an earlier attempt fetched. */
const readBytes = 256 * 1024
/**
 * Bytes of a blob that are synced at a time. The source judges progress by the requests, so a
 * single sync of hundreds of megabytes at the end would look like a disk that hangs.
 */
const stretchBytes = 2 * 1024 * 1024

const read = fromPeer('an answer of the source')

/**
 * Called with the offset up to which a blob, or an entry that takes several answers, has been
 * fetched.
 */
export type Reached = (item: string, offset: number) => void

/**
 * The part of a blob that an earlier attempt fetched; its checksum is verified once the blob is
 * complete. The part is written again, because after a sync failed in an earlier process the system
 * may have dropped the bytes, although they can still be read and the next sync succeeds.
 */
async function partOf(
  storage: OpenStorage,
  blob: BlobRef,
): Promise<{ readonly bytes: number; readonly crc: number }> {
  const found = await storage.objects.list('blobs', blob.id)
  const bytes = found.find(({ name }) => name === blob.id)?.bytes ?? 0
  if (bytes > blob.bytes) return { bytes: 0, crc: 0 }
  let crc = 0
  for (let offset = 0; offset < bytes; offset += readBytes) {
    const length = Math.min(readBytes, bytes - offset)
    const piece = await storage.objects.read('blobs', blob.id, offset, length)
    crc = crc32(piece, crc)
    const slice = { name: blob.id, offset, start: 0, length: piece.length }
    await storage.objects.write('blobs', piece, [slice])
  }
  return { bytes, crc }
}

/** Whether the complete blob could be made durable. */
async function isWhole(storage: OpenStorage, blob: BlobRef): Promise<boolean> {
  try {
    await storage.objects.sync('blobs', [blob.id])
    return true
  } catch {
    // After a failed sync the contents of the disk are unknown, so the blob is fetched again.
    return false
  }
}

/**
 * Fetches a blob, or the rest of one that an earlier attempt began. Only a candidate passes
 * `reached`.
 */
export async function fetchBlob(
  bulk: BulkClient,
  storage: OpenStorage,
  blob: BlobRef,
  signal: AbortSignal,
  reached?: Reached,
): Promise<void> {
  let part = await partOf(storage, blob)
  if (part.bytes === blob.bytes && part.bytes > 0) {
    if (part.crc === blob.crc && (await isWhole(storage, blob))) return
    part = { bytes: 0, crc: 0 }
  }
  if (part.bytes === 0) await storage.objects.remove('blobs', [blob.id])
  await fetchRest(bulk, storage, { ...blob, from: part.bytes, crcSoFar: part.crc }, signal, reached)
}

interface Rest extends BlobRef {
  readonly from: number
  readonly crcSoFar: number
}

async function fetchRest(
  bulk: BulkClient,
  storage: OpenStorage,
  blob: Rest,
  signal: AbortSignal,
  reached: Reached | undefined,
): Promise<void> {
  // Several pieces are requested ahead, so none may exceed what one answer can carry.
  const askBytes = Math.min(reached === undefined ? chunkBytes : candidateChunkBytes, bulk.room)
  let crc = blob.crcSoFar
  let asked = blob.from
  let written = blob.from
  const disk = new StretchSync(storage, blob.id)
  const answers: Promise<Uint8Array>[] = []
  const ask = (): void => {
    const length = Math.min(askBytes, blob.bytes - asked)
    const request = { op: 'blob', blob: blob.id, offset: asked, length, holes: true } as const
    const answer = bulk.request(request, (given) => contentOf(given, length))
    answer.catch(() => undefined)
    answers.push(answer)
    asked += length
  }
  while (written < blob.bytes) {
    while (asked - written < windowBytes && asked < blob.bytes) ask()
    const bytes = await answers.shift()
    signal.throwIfAborted()
    if (bytes === undefined || bytes.length === 0) {
      throw new HotspareError('RESTORE_FAILED', `the blob ${blob.id} ends early`)
    }
    crc = crc32(bytes, crc)
    const slice = { name: blob.id, offset: written, start: 0, length: bytes.length }
    written += bytes.length
    await storage.objects.write('blobs', bytes, [slice])
    await disk.wrote(bytes.length)
    reached?.(blob.id, written)
  }
  await disk.idle()
  if (crc !== blob.crc) {
    await storage.objects.remove('blobs', [blob.id])
    throw new HotspareError('FRAME_CORRUPT', `the blob ${blob.id} arrived damaged`)
  }
  if (blob.bytes > 0) await storage.objects.sync('blobs', [blob.id])
}

/** Syncs an object stretch by stretch while more of it arrives; at most one sync is in flight. */
class StretchSync {
  readonly #storage: OpenStorage
  readonly #name: string
  #unsynced = 0
  #syncing: Promise<void> = Promise.resolve()

  constructor(storage: OpenStorage, name: string) {
    this.#storage = storage
    this.#name = name
  }

  /**
   * Records written bytes and starts a sync after each stretch.
   *
   * @throws the failure of the previous sync
   */
  async wrote(bytes: number): Promise<void> {
    this.#unsynced += bytes
    if (this.#unsynced < stretchBytes) return
    await this.#syncing
    this.#unsynced = 0
    this.#syncing = this.#storage.objects.sync('blobs', [this.#name])
    // The next call that waits for the sync reports its failure.
    this.#syncing.catch(() => undefined)
  }

  /**
   * Resolves when no sync is in flight.
   *
   * @throws its failure
   */
  idle(): Promise<void> {
    return this.#syncing
  }
}

/**
 * The content of an answer in a buffer of its own, with omitted zeros restored.
 *
 * @throws `PROTOCOL_VIOLATION`
 */
function contentOf({ body, bytes }: BulkAnswer, lengthMax: number): Uint8Array {
  const { length, runs } = read.fields(body, 'blob')
  if (runs === undefined || runs === null) return new Uint8Array(bytes)
  const whole = read.count(length, 'length', lengthMax)
  return unpack(bytes, [{ start: 0, length: whole, runs }]).bytes
}

/**
 * The whole entries after a position: as many as fit into one answer but at least one, or none when
 * the source has none.
 */
export async function fetchEntries(
  bulk: BulkClient,
  extent: Extent,
  reached: Reached,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let offset = 0
  let total = 0
  do {
    const request = { op: 'entries', extent, offset, length: entriesBytes } as const
    const { body, bytes } = await bulk.request(request, (answer) => ({
      body: answer.body,
      bytes: new Uint8Array(answer.bytes),
    }))
    total = read.count(read.fields(body, 'entries').total, 'total', entryBytesMax)
    if (bytes.length === 0 && offset < total) throw read.bad('entries')
    parts.push(bytes)
    offset += bytes.length
    reached(`entries after ${extent.seq}`, offset)
  } while (offset < total)
  return parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts)
}
