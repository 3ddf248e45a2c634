/**
 * The stored index: a log of blocks, each with the changes since the previous one. A checkpoint
 * names the log and the length that counts; what follows belongs to a checkpoint that was not
 * completed.
 *
 * | at | field of a block |
 * | --- | --- |
 * | 0 | u32 length of the block |
 * | 4 | u32 crc32 of the bytes from 8 |
 * | 8 | msgpack `{ v: 1, c: [class], f: [[path, class, version, size, mode, mtimeMs, inode]], r: [[path, version]], d: [path] }` |
 */
import { crc32 } from 'node:zlib'
import { HotspareError } from '../../errors.js'
import type { Log, LogStore } from '../../interfaces/storage.js'
import { encode } from '../../protocol/codec.js'
import { fromDisk } from '../../protocol/fields.js'
import type { FileIndex } from './file-index.js'

/** The place of the stored index, as a checkpoint records it. */
export interface IndexPlace {
  readonly log: string
  readonly bytes: number
}

const area = 'index'
const blockHeaderBytes = 8
/** Records in a block, few enough that encoding one does not block the node for long. */
const blockRecords = 1000
/** The smallest size at which the log is rewritten; it is when it has doubled. */
const compactBytesMin = 1024 * 1024
/** Bytes of the log that are read at a time. */
const readBytes = 4 * 1024 * 1024
export const indexFormatVersion = 1

const read = fromDisk('the stored index')

export function encodeIndexBlock(index: FileIndex, paths: readonly string[]): Uint8Array {
  const classes: string[] = []
  const numbers = new Map<string, number>()
  const files: unknown[] = []
  const removed: unknown[] = []
  const dropped: string[] = []
  for (const path of paths) {
    const record = index.get(path)
    const tombstone = record === undefined ? index.tombstone(path) : undefined
    if (record !== undefined) {
      let number = numbers.get(record.className)
      if (number === undefined) {
        number = classes.push(record.className) - 1
        numbers.set(record.className, number)
      }
      const { version, size, mode, mtimeMs, inode } = record
      files.push([path, number, version, size, mode, mtimeMs, inode])
    } else if (tombstone !== undefined) removed.push([path, tombstone])
    else dropped.push(path)
  }
  const meta = encode({ v: indexFormatVersion, c: classes, f: files, r: removed, d: dropped })
  const block = Buffer.allocUnsafeSlow(blockHeaderBytes + meta.length)
  block.set(meta, blockHeaderBytes)
  block.writeUInt32LE(block.length, 0)
  block.writeUInt32LE(crc32(meta), 4)
  return block
}

/** Applies a block, whose bytes were checked, to the index. */
export function readIndexBlock(meta: Uint8Array, index: FileIndex): void {
  const fields = read.fields(read.decode(meta), 'index block')
  if (fields.v !== indexFormatVersion) {
    throw new HotspareError('STORAGE_FORMAT', `an index has format version ${String(fields.v)}`)
  }
  const classes = read.texts(fields.c, 'class')
  for (const one of read.list(fields.f, 'f')) {
    const file = read.list(one, 'file')
    const className = classes[read.count(file[1], 'class')]
    if (className === undefined) throw read.bad('class')
    index.set(read.text(file[0], 'path'), {
      className,
      version: read.count(file[2], 'version'),
      size: read.count(file[3], 'size'),
      mode: read.count(file[4], 'mode'),
      // Times before 1970 are negative.
      mtimeMs: read.number(file[5], 'mtimeMs'),
      inode: read.number(file[6], 'inode'),
    })
  }
  for (const one of read.list(fields.r, 'r')) {
    const tombstone = read.list(one, 'tombstone')
    index.remove(read.text(tombstone[0], 'path'), read.count(tombstone[1], 'version'))
  }
  for (const one of read.list(fields.d, 'd')) index.drop(read.text(one, 'path'))
}

export class IndexLog {
  readonly #logs: LogStore
  #log: Log | undefined
  #name = ''
  #stale: string[] = []
  #bytes = 0
  /** The length after the last complete write. */
  #wholeBytes = 0

  constructor(logs: LogStore) {
    this.#logs = logs
  }

  /**
   * Reads the part that a checkpoint names into the index, and cuts the rest.
   *
   * @throws `STORAGE_CORRUPT` when it is damaged
   */
  async load(place: IndexPlace, index: FileIndex): Promise<void> {
    const log = await this.#logs.open(area, place.log)
    try {
      if (log.bytes < place.bytes) throw damaged(place, log.bytes)
      let at = 0
      while (at < place.bytes) at += await readBlocks(log, at, place, index)
      if (log.bytes > place.bytes) await log.truncate(place.bytes)
    } catch (error) {
      await log.close()
      throw error
    }
    const names = (await this.#logs.list(area)).map(({ name }) => name)
    this.#stale = names.filter((name) => name !== place.log)
    this.#log = log
    this.#name = place.log
    this.#bytes = place.bytes
    this.#wholeBytes = place.bytes
    index.takeDirty()
  }

  /** Whether the next checkpoint rewrites the log. */
  get isDue(): boolean {
    return this.#log === undefined || this.#bytes > Math.max(compactBytesMin, this.#wholeBytes * 2)
  }

  /** Writes the changes durably, or everything when a rewrite is due. */
  async write(index: FileIndex, changed: Iterable<string>): Promise<IndexPlace> {
    if (this.isDue) {
      await this.#begin()
      await this.#append(index, allPaths(index))
      this.#wholeBytes = this.#bytes
    } else await this.#append(index, changed)
    return { log: this.#name, bytes: this.#bytes }
  }

  /** Removes the logs that no checkpoint names; the log just written is in use. */
  async removeStale(): Promise<void> {
    if (this.#stale.length === 0) return
    await this.#logs.remove(area, this.#stale)
    this.#stale = []
  }

  /** Closes the log; the next write creates a new one. */
  async close(): Promise<void> {
    const log = this.#log
    this.#log = undefined
    await log?.close()
  }

  async #begin(): Promise<void> {
    await this.close()
    this.#stale = (await this.#logs.list(area)).map(({ name }) => name)
    const numbers = this.#stale.map((name) => Number.parseInt(name, 10))
    const number = Math.max(0, ...numbers.filter((one) => Number.isSafeInteger(one))) + 1
    this.#name = `${String(number).padStart(8, '0')}.log`
    this.#log = await this.#logs.open(area, this.#name)
    this.#bytes = 0
  }

  async #append(index: FileIndex, paths: Iterable<string>): Promise<void> {
    let block: string[] = []
    for (const path of paths) {
      block.push(path)
      if (block.length < blockRecords) continue
      await this.#appendBlock(encodeIndexBlock(index, block))
      block = []
    }
    if (block.length > 0) await this.#appendBlock(encodeIndexBlock(index, block))
  }

  async #appendBlock(block: Uint8Array): Promise<void> {
    const log = this.#log
    if (log === undefined) throw new HotspareError('INTERNAL', 'the index is not open')
    try {
      await log.append([block])
    } catch (error) {
      // The content of the log is unknown, so the next checkpoint writes a new one.
      await this.close().catch(() => undefined)
      throw error
    }
    this.#bytes += block.length
  }
}

/** All paths of the index at this time; it continues to change during the write. */
function allPaths(index: FileIndex): string[] {
  const paths = index.paths()
  for (const [path] of index.removed()) paths.push(path)
  return paths
}

function damaged(place: IndexPlace, at: number): HotspareError {
  return new HotspareError('STORAGE_CORRUPT', `the index ${place.log} is damaged at byte ${at}`)
}

/** Applies the complete blocks and returns their length. */
async function readBlocks(
  log: Log,
  offset: number,
  place: IndexPlace,
  index: FileIndex,
): Promise<number> {
  const left = place.bytes - offset
  let chunk = await log.read(offset, Math.min(readBytes, left))
  let view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
  const first = view.length >= blockHeaderBytes ? view.readUInt32LE(0) : 0
  if (first < blockHeaderBytes || first > left) throw damaged(place, offset)
  if (first > view.length) {
    chunk = await log.read(offset, first)
    view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
  }
  let at = 0
  while (view.length >= at + blockHeaderBytes) {
    const length = view.readUInt32LE(at)
    if (length < blockHeaderBytes) throw damaged(place, offset + at)
    if (view.length < at + length) break
    const meta = view.subarray(at + blockHeaderBytes, at + length)
    if (crc32(meta) !== view.readUInt32LE(at + 4)) throw damaged(place, offset + at)
    readIndexBlock(meta, index)
    at += length
  }
  if (at === 0) throw damaged(place, offset)
  return at
}
