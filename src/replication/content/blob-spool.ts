/**
 * Reads content of unknown length with bounded memory: short content is collected in memory; longer
 * content is written to an object of the storage piece by piece, while its checksum is computed.
 */
import { crc32 } from 'node:zlib'
import type { BlobRef } from '../../changes/change.js'
import { HotspareError } from '../../errors.js'
import type { ObjectStore } from '../../interfaces/object-store.js'
import type { Random } from '../../interfaces/random.js'
import type { Durability } from '../../policy/class-options.js'
import { aborted, onAbort } from '../../util/abort.js'
import { requireSpace } from './no-room.js'
import { SourceReader } from './source-reader.js'
import type { BlobDistributor, ContentSource } from './types.js'

/** How one content is stored. */
export interface SpoolContentOptions {
  /** The durability of the write that the content belongs to. A blob is synced at either level. */
  readonly durability: Durability
  readonly signal?: AbortSignal | undefined
  /**
   * Content above this many bytes becomes a blob; default and maximum is the writer's
   * `inlineBytesMax`.
   */
  readonly inlineBytesMax?: number | undefined
}

/** Content as a change carries it: exactly one of the two is set. */
export interface StoredContent {
  readonly bytes: Uint8Array | undefined
  readonly blob: BlobRef | undefined
}

/** Bytes written to the storage in one call. */
const pieceBytes = 256 * 1024

/** Limits of one content, in bytes. */
export interface SpoolLimits {
  readonly inlineBytesMax: number
  readonly blobBytesMax: number
}

/** What a spool depends on. */
export interface SpoolOptions {
  readonly objects: ObjectStore
  readonly random: Random
  readonly limits: SpoolLimits
  readonly distribution: BlobDistributor
  /** Why something of this many bytes is refused for lack of disk space; undefined when it fits. */
  readonly noRoomFor: (bytes: number) => string | undefined
}

export class BlobSpool {
  readonly #objects: ObjectStore
  readonly #random: Random
  readonly #limits: SpoolLimits
  readonly #distribution: BlobDistributor
  readonly #noRoomFor: (bytes: number) => string | undefined
  /** Sources that are being read. */
  readonly #readers = new Set<SourceReader>()

  constructor(options: SpoolOptions) {
    this.#objects = options.objects
    this.#random = options.random
    this.#limits = options.limits
    this.#distribution = options.distribution
    this.#noRoomFor = options.noRoomFor
  }

  /**
   * Stores content. When it resolves, a blob is durable here, and every follower of the in-sync set
   * has it or has left the set.
   *
   * @throws as {@link BlobSpool.collect}
   */
  async store(source: ContentSource, options: SpoolContentOptions): Promise<StoredContent> {
    const content = await this.collect(source, options)
    const { blob } = content
    if (blob === undefined) return content
    const { signal } = options
    try {
      // Synced at every durability, because a record on disk whose blob a power cut destroyed could
      // never be applied.
      await this.#objects.sync('blobs', [blob.id])
      if (signal?.aborted !== true) await this.#distribution.distribute(blob)
      if (signal?.aborted === true) throw aborted(signal)
      return content
    } catch (error) {
      await this.discard([blob])
      throw error
    }
  }

  /**
   * Reads a source to its end. The result shares no memory with the source.
   *
   * @throws `WRITE_TOO_LARGE` above `blobBytesMax`; `STORAGE_FULL`; `ABORTED`; the failure of the
   *   storage; what the source threw; the error of {@link BlobSpool.close}. In each case the blob
   *   is removed.
   */
  async collect(source: ContentSource, options: SpoolContentOptions): Promise<StoredContent> {
    const inlineMax = Math.min(
      options.inlineBytesMax ?? this.#limits.inlineBytesMax,
      this.#limits.inlineBytesMax,
    )
    const spooled = new SpooledContent(this.#objects, blobName(this.#random), inlineMax)
    const reader = new SourceReader(source)
    const { signal } = options
    this.#readers.add(reader)
    const unlisten = onAbort(signal, (by) => reader.giveUp(aborted(by)))
    if (signal?.aborted === true) reader.giveUp(aborted(signal))
    try {
      for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) {
        if (!(chunk instanceof Uint8Array))
          throw new TypeError('a content stream yields Uint8Array')
        this.#requireSize(spooled.bytes + chunk.length)
        if (spooled.bytes + chunk.length > inlineMax) requireSpace(this.#noRoomFor(chunk.length))
        await spooled.add(chunk)
      }
      if (signal?.aborted === true) throw aborted(signal)
      return await spooled.end()
    } catch (error) {
      reader.giveUp(error)
      await spooled.remove()
      throw error
    } finally {
      unlisten()
      this.#readers.delete(reader)
    }
  }

  /** Ends the reading of all sources, including sources that hang. */
  close(error: HotspareError): void {
    for (const reader of this.#readers) reader.giveUp(error)
  }

  /**
   * Removes blobs that no change will name, here and on the followers. If that fails here, the next
   * start removes them.
   */
  async discard(blobs: readonly BlobRef[]): Promise<void> {
    this.#distribution.withdraw(blobs)
    await removeQuietly(
      this.#objects,
      blobs.map(({ id }) => id),
    )
  }

  #requireSize(bytes: number): void {
    const limit = this.#limits.blobBytesMax
    if (bytes <= limit) return
    throw new HotspareError(
      'WRITE_TOO_LARGE',
      `the content is longer than blobBytesMax = ${limit}`,
      {
        details: { option: 'blobBytesMax', limit, actual: bytes },
        whatToDo: 'Append it in several writes; the limit of one is a fixed one.',
      },
    )
  }
}

/**
 * One content while it is read: collected in a buffer, and written to the storage piece by piece
 * once it is too long to stay inline.
 */
class SpooledContent {
  readonly #objects: ObjectStore
  readonly #name: string
  readonly #inlineMax: number
  #piece: Buffer = Buffer.alloc(0)
  #filled = 0
  #written = 0
  #crc = 0
  #started = false

  constructor(objects: ObjectStore, name: string, inlineMax: number) {
    this.#objects = objects
    this.#name = name
    this.#inlineMax = inlineMax
  }

  get bytes(): number {
    return this.#written + this.#filled
  }

  async add(chunk: Uint8Array): Promise<void> {
    let at = 0
    while (at < chunk.length) {
      this.#grow(chunk.length - at)
      const part = chunk.subarray(at, at + this.#piece.length - this.#filled)
      this.#piece.set(part, this.#filled)
      this.#filled += part.length
      at += part.length
      if (this.#filled === pieceBytes) await this.#write()
    }
  }

  async end(): Promise<StoredContent> {
    if (!this.#started && this.#filled <= this.#inlineMax) {
      return { bytes: this.#piece.subarray(0, this.#filled), blob: undefined }
    }
    await this.#write()
    const blob = { id: this.#name, bytes: this.#written, crc: this.#crc }
    return { bytes: undefined, blob }
  }

  async remove(): Promise<void> {
    if (this.#started) await removeQuietly(this.#objects, [this.#name])
  }

  /**
   * Grows the buffer no further than needed. Each piece gets a new buffer, because the storage may
   * keep the one it was given.
   */
  #grow(more: number): void {
    const wanted = Math.min(pieceBytes, this.#filled + more)
    if (wanted <= this.#piece.length) return
    const size =
      this.#filled === 0 ? wanted : Math.min(pieceBytes, Math.max(wanted, 2 * this.#filled))
    const piece = Buffer.allocUnsafeSlow(size)
    piece.set(this.#piece.subarray(0, this.#filled))
    this.#piece = piece
  }

  async #write(): Promise<void> {
    const length = this.#filled
    const piece = this.#piece
    if (length === 0 && this.#started) return
    this.#piece = Buffer.alloc(0)
    this.#filled = 0
    this.#started = true
    const bytes = piece.subarray(0, length)
    this.#crc = crc32(bytes, this.#crc)
    const slice = { name: this.#name, offset: this.#written, start: 0, length }
    await this.#objects.write('blobs', length === piece.length ? piece : bytes, [slice])
    this.#written += length
  }
}

/** Removes blobs that no change names. If that fails, the next start removes them. */
export async function removeQuietly(objects: ObjectStore, names: readonly string[]): Promise<void> {
  try {
    await objects.remove('blobs', names)
  } catch {
    // An unnamed blob is harmless, and a failing storage is noticed by the calls that depend on it.
  }
}

/** Names are random, so that they cannot be guessed and no two nodes choose the same. */
function blobName(random: Random): string {
  return Buffer.from(random.bytes(16)).toString('hex')
}
