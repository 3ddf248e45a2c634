/**
 * Takes in content of unknown length with bounded memory: short content is collected, longer
 * content goes to an object of the storage, piece by piece, with its checksum computed on the way.
 */
import { crc32 } from 'node:zlib'
import type { BlobRef } from '../../changes/change.js'
import { HotspareError } from '../../errors.js'
import type { ObjectStore } from '../../interfaces/object-store.js'
import type { Random } from '../../interfaces/random.js'
import type { Durability } from '../../policy/class-options.js'
import { aborted, onAbort } from '../../util/abort.js'
import { requireDisk } from './no-room.js'
import { SourceReader } from './source-reader.js'
import type { BlobDistribution, ContentSource } from './types.js'

/** How content is taken in. */
export interface ContentOptions {
  /** Whether a blob must be on disk before it is named. */
  readonly durability: Durability
  readonly signal?: AbortSignal | undefined
  /**
   * Content above this many bytes becomes a blob; default and maximum is the writer's
   * `inlineBytesMax`.
   */
  readonly inlineBytesMax?: number | undefined
}

/** Content as a change carries it: exactly one of the two is set. */
export interface Content {
  readonly bytes: Uint8Array | undefined
  readonly blob: BlobRef | undefined
}

/** Bytes that are written to the storage at once. */
const pieceBytes = 256 * 1024

/** Limits of one content, in bytes. */
export interface SpoolLimits {
  readonly inlineBytesMax: number
  readonly blobBytesMax: number
}

/** What a spool works with. */
export interface SpoolOptions {
  readonly objects: ObjectStore
  readonly random: Random
  readonly limits: SpoolLimits
  readonly distribution: BlobDistribution
  /** Why what takes so many bytes of the device is refused; undefined when there is room. */
  readonly noRoomFor: (bytes: number) => string | undefined
}

export class BlobSpool {
  readonly #objects: ObjectStore
  readonly #random: Random
  readonly #limits: SpoolLimits
  readonly #distribution: BlobDistribution
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
   * Takes content in; a blob is on the storage, and with every follower of the in-sync set, when it
   * resolves.
   *
   * @throws as {@link BlobSpool.collect}
   */
  async store(source: ContentSource, options: ContentOptions): Promise<Content> {
    const content = await this.collect(source, options)
    const { blob } = content
    if (blob === undefined) return content
    const { signal } = options
    try {
      // Whatever the durability: a record on disk whose blob a power cut took could never be
      // applied.
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
   * Reads a source to its end. What it returns shares no memory with the source.
   *
   * @throws `WRITE_TOO_LARGE` above `blobBytesMax`; `STORAGE_FULL`; `ABORTED`; the failure of the
   *   storage; what the source threw; what it was closed with. Nothing is left behind then.
   */
  async collect(source: ContentSource, options: ContentOptions): Promise<Content> {
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
        if (spooled.bytes + chunk.length > inlineMax) requireDisk(this.#noRoomFor(chunk.length))
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

  /** Ends the reading of all sources, those that hang included. */
  close(error: HotspareError): void {
    for (const reader of this.#readers) reader.giveUp(error)
  }

  /**
   * Removes blobs that no change names, here and where they were sent; a failure leaves them to the
   * next start.
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
 * One content on its way: collected in pieces, written out as soon as it is too long to stay
 * inline.
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

  async end(): Promise<Content> {
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
   * Small content gets a small buffer; the storage may keep a piece, so that each is a buffer of
   * its own.
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

/** Removes blobs that no change names; a failure leaves them to the next start. */
export async function removeQuietly(objects: ObjectStore, names: readonly string[]): Promise<void> {
  try {
    await objects.remove('blobs', names)
  } catch {
    // An unnamed blob does no harm; the storage has reported why it cannot be removed to those who
    // need it.
  }
}

/** Objects are named by chance: nobody can foretell a name, and no two nodes choose the same. */
function blobName(random: Random): string {
  return Buffer.from(random.bytes(16)).toString('hex')
}
