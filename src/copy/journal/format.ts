/**
 * The bytes of a journal's segments, format version 1, little-endian.
 *
 * A segment is a header followed by appends. An append is a mark followed by entries. An append
 * begins only when the previous one is durable, so a valid mark proves that everything before it
 * had been durable. That distinguishes a torn tail, which is cut, from damage, which a peer has to
 * repair. A mark is bound to its segment by a random nonce and to its place by its offset, so that
 * a journal that is stored as content of a journal cannot imitate one.
 *
 * | at | header |   | at | mark |
 * | --- | --- | --- | --- | --- |
 * | 0 | `HSPJ` |  | 0 | u32 0xffffffff, which is no length of an entry |
 * | 4 | u32 length of the header |  | 4 | u32 nonce of the segment |
 * | 8 | u32 crc32 of all header bytes from 12 |  | 8 | u32 offset of the mark in the segment |
 * | 12 | u32 format version |  | 12 | u32 crc32 of the 12 bytes before |
 * | 16 | u32 nonce |
 * | 20 | facts at the segment's start (msgpack) |
 */
import { crc32 } from 'node:zlib'
import { HotspareError } from '../../errors.js'
import { encode } from '../../protocol/codec.js'
import { fromDisk } from '../../protocol/fields.js'
import type { JournalFacts } from './head.js'
import { readFacts, writeFacts } from './head-format.js'

export const segmentFormatVersion = 1
export const markBytes = 16
const fixedBytes = 20
const markWord = 0xff_ff_ff_ff
const magic: Buffer = Buffer.from('HSPJ')
/**
 * The longest header of a segment; a longer one is damaged. A history of at most 1024 terms needs
 * far less.
 */
const headerBytesMax = 8 * 1024 * 1024

const read = fromDisk('the header of a journal segment')

const namePattern = /^(\d{16})-(\d{8})\.log$/

/** The name of a segment, from its first position and its number. */
export function segmentName(firstSeq: number, number: number): string {
  return `${String(firstSeq).padStart(16, '0')}-${String(number).padStart(8, '0')}.log`
}

/** Decodes the name of a segment; undefined for other names. */
export function parseSegmentName(name: string): { firstSeq: number; number: number } | undefined {
  const match = namePattern.exec(name)
  if (match === null) return undefined
  return { firstSeq: Number(match[1]), number: Number(match[2]) }
}

export function encodeSegmentHeader(nonce: number, facts: JournalFacts): Uint8Array {
  const meta = encode(writeFacts(facts))
  const header = Buffer.allocUnsafeSlow(fixedBytes + meta.length)
  header.set(magic, 0)
  header.writeUInt32LE(header.length, 4)
  header.writeUInt32LE(segmentFormatVersion, 12)
  header.writeUInt32LE(nonce, 16)
  header.set(meta, fixedBytes)
  header.writeUInt32LE(crc32(header.subarray(12)), 8)
  return header
}

export interface SegmentHeader {
  readonly bytes: number
  readonly nonce: number
  readonly facts: JournalFacts
}

/** The length of the header that begins here; undefined when it is none. */
export function segmentHeaderBytes(bytes: Uint8Array): number | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.length < fixedBytes || !view.subarray(0, 4).equals(magic)) return undefined
  const length = view.readUInt32LE(4)
  return length < fixedBytes || length > headerBytesMax ? undefined : length
}

/**
 * Decodes a complete header; undefined when it is invalid.
 *
 * @throws `STORAGE_FORMAT` when a newer version wrote it
 */
export function readSegmentHeader(bytes: Uint8Array): SegmentHeader | undefined {
  const length = segmentHeaderBytes(bytes)
  if (length === undefined || bytes.length < length) return undefined
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, length)
  if (crc32(view.subarray(12)) !== view.readUInt32LE(8)) return undefined
  const version = view.readUInt32LE(12)
  if (version !== segmentFormatVersion) {
    throw new HotspareError('STORAGE_FORMAT', `a journal segment has format version ${version}`)
  }
  const facts = readFacts(read, read.decode(view.subarray(fixedBytes)))
  return { bytes: length, nonce: view.readUInt32LE(16), facts }
}

export function encodeMark(nonce: number, offset: number): Uint8Array {
  const mark = Buffer.allocUnsafe(markBytes)
  mark.writeUInt32LE(markWord, 0)
  mark.writeUInt32LE(nonce, 4)
  mark.writeUInt32LE(offset, 8)
  mark.writeUInt32LE(crc32(mark.subarray(0, 12)), 12)
  return mark
}

/** Whether the bytes here are no entry, and so should be a mark. */
export function looksLikeMark(view: Buffer, at: number): boolean {
  return view.length >= at + 4 && view.readUInt32LE(at) === markWord
}

/**
 * Whether a valid mark of this segment is at `at` in the bytes, which is `offset` in the segment.
 */
export function isMark(view: Buffer, at: number, nonce: number, offset: number): boolean {
  if (view.length < at + markBytes || view.readUInt32LE(at) !== markWord) return false
  if (view.readUInt32LE(at + 4) !== nonce || view.readUInt32LE(at + 8) !== offset) return false
  return view.readUInt32LE(at + 12) === crc32(view.subarray(at, at + 12))
}

/**
 * Whether the bytes from `offset` of a segment contain a valid mark of any segment, for a segment
 * whose header, and so its nonce, cannot be read.
 */
export function hasAnyMark(view: Buffer, offset: number): boolean {
  const wanted = Buffer.from([0xff, 0xff, 0xff, 0xff])
  for (let at = view.indexOf(wanted); at >= 0; at = view.indexOf(wanted, at + 1)) {
    if (view.length < at + markBytes) return false
    if (isMark(view, at, view.readUInt32LE(at + 4), offset + at)) return true
  }
  return false
}

/** The first valid mark in the bytes from `offset` of the segment; undefined when there is none. */
export function findMark(view: Buffer, nonce: number, offset: number): number | undefined {
  const wanted = Buffer.alloc(8)
  wanted.writeUInt32LE(markWord, 0)
  wanted.writeUInt32LE(nonce, 4)
  for (let at = view.indexOf(wanted); at >= 0; at = view.indexOf(wanted, at + 1)) {
    if (isMark(view, at, nonce, offset + at)) return offset + at
  }
  return undefined
}
