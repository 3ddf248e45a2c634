/**
 * The messages of the bulk lane: numbered requests, each answered by one frame with a small head
 * and bytes.
 */

import type { Extent } from '../../history/position.js'
import type { Channel } from '../../protocol/channel.js'
import { decode, encode } from '../../protocol/codec.js'
import { type Fields, fromPeer } from '../../protocol/fields.js'

/** Requests of the bulk lane. */
export type BulkRequest =
  /**
   * Files to transfer and paths to remove, in pages: what changed after `sinceSeq`, or the present
   * state of `paths` when it names any. `from` is the cursor `next` of the last page, at first 0.
   */
  | {
      readonly op: 'index'
      readonly sinceSeq: number
      readonly paths: readonly string[]
      readonly from: number
    }
  /**
   * With `holes` the answer may omit zeros of sparse files; a source that does not know the field
   * sends them.
   */
  | { readonly op: 'read'; readonly requests: readonly ReadStretch[]; readonly holes?: boolean }
  /** Makes a snapshot of a class of application state; the answer has its size and position. */
  | { readonly op: 'state'; readonly className: string }
  | {
      readonly op: 'stateRead'
      readonly className: string
      readonly offset: number
      readonly length: number
    }
  /** `holes` as in `read`. */
  | {
      readonly op: 'blob'
      readonly blob: string
      readonly offset: number
      readonly length: number
      readonly holes?: boolean
    }
  /**
   * Journal entries after a position, for a candidate that lacks the end of the journal. An entry
   * that is longer than an answer is requested from several offsets. An answer has at most `length`
   * bytes; 0, which stands also for a missing field, leaves the size to the source.
   */
  | {
      readonly op: 'entries'
      readonly extent: Extent
      readonly offset: number
      readonly length: number
    }

/** A request that only a later version knows. */
export interface UnknownRequest {
  readonly op: 'unknown'
  readonly name: string
}

/** A stretch of a file. */
export interface ReadStretch {
  readonly path: string
  readonly offset: number
  readonly length: number
}

/** The head of an answer; its body depends on the request. */
export interface AnswerHead {
  readonly id: number
  readonly error?: { readonly code: string; readonly message: string }
  readonly body?: unknown
}

/**
 * Paths in one index request or page; longer lists are split into pages, and a page with more is
 * `PROTOCOL_VIOLATION`.
 */
export const indexPathsMax = 4096
/** Stretches in one read request; a longer list is `PROTOCOL_VIOLATION`. */
export const readStretchesMax = 1024
/**
 * Bytes of a bulk frame beside its lists and content: lengths, names of fields, the text of an
 * error.
 */
const headBytesMax = 4096
/**
 * The most bytes that one number takes in a message; the header of a short list or of a text takes
 * no more.
 */
const numberBytesMax = 9
/**
 * Bytes of the description of a stretch in an answer: five numbers and the header of their list.
 */
export const stretchResultBytesMax: number = 6 * numberBytesMax

/** Bytes of a list item that has a path and up to three numbers. */
export function listedPathBytes(path: string): number {
  return Buffer.byteLength(path) + 5 * numberBytesMax
}

/**
 * Bytes available for lists and content together in one request or answer on this channel. Both
 * ends compute the same.
 */
export function frameRoom({ payloadBytesMax }: Pick<Channel, 'payloadBytesMax'>): number {
  return Math.max(1, payloadBytesMax - headBytesMax)
}

/** The paths from index `from` on that fit into one message; at least one if there is any. */
export function fittingPaths(paths: readonly string[], from: number, room: number): string[] {
  const fitting: string[] = []
  let bytes = 0
  for (let at = from; at < paths.length && fitting.length < indexPathsMax; at += 1) {
    const path = paths[at] ?? ''
    bytes += listedPathBytes(path)
    if (bytes > room && fitting.length > 0) break
    fitting.push(path)
  }
  return fitting
}

const read = fromPeer('a message of the bulk lane')

/** Reads a request of the bulk lane. @throws `PROTOCOL_VIOLATION` */
export function bulkRequestOf(value: unknown): {
  id: number
  request: BulkRequest | UnknownRequest
} {
  const fields = read.fields(value, 'request')
  return { id: read.count(fields.id, 'id'), request: requestOf(fields) }
}

function requestOf(fields: Fields): BulkRequest | UnknownRequest {
  const stretch = (): { offset: number; length: number } => ({
    offset: read.count(fields.offset, 'offset'),
    length: read.count(fields.length, 'length'),
  })
  switch (fields.op) {
    case 'index':
      return {
        op: 'index',
        sinceSeq: read.count(fields.sinceSeq, 'sinceSeq'),
        paths: read.texts(fields.paths, 'paths', indexPathsMax, 4096),
        from: read.count(fields.from, 'from'),
      }
    case 'read':
      return {
        op: 'read',
        requests: read.list(fields.requests, 'requests', readStretchesMax).map(stretchOf),
        holes: fields.holes === true,
      }
    case 'state':
      return { op: 'state', className: read.text(fields.className, 'className', 256) }
    case 'stateRead':
      return {
        op: 'stateRead',
        className: read.text(fields.className, 'className', 256),
        ...stretch(),
      }
    case 'blob':
      return {
        op: 'blob',
        blob: read.text(fields.blob, 'blob', 128),
        ...stretch(),
        holes: fields.holes === true,
      }
    case 'entries':
      return {
        op: 'entries',
        extent: read.extent(fields.extent, 'extent'),
        offset: read.count(fields.offset, 'offset'),
        length: fields.length === undefined ? 0 : read.count(fields.length, 'length'),
      }
    default:
      return { op: 'unknown', name: read.text(fields.op, 'op', 64) }
  }
}

function stretchOf(value: unknown): ReadStretch {
  const [path, offset, length] = read.row(value, 'stretch')
  return {
    path: read.text(path, 'path', 4096),
    offset: read.count(offset, 'offset'),
    length: read.count(length, 'length'),
  }
}

/** An answer frame: u32 length of the head, the head, the bytes. */
export function answerParts(head: AnswerHead, bytes: readonly Uint8Array[] = []): Uint8Array[] {
  const packed = encode(head)
  const prefix = Buffer.allocUnsafe(4)
  prefix.writeUInt32LE(packed.length, 0)
  return [prefix, packed, ...bytes]
}

/** Splits an answer frame; the bytes are a view. @throws `PROTOCOL_VIOLATION` */
export function readAnswer(payload: Uint8Array): { head: AnswerHead; bytes: Uint8Array } {
  if (payload.length < 4) throw read.bad('answer')
  const view = Buffer.from(payload.buffer, payload.byteOffset, payload.length)
  const end = 4 + view.readUInt32LE(0)
  if (end > payload.length) throw read.bad('answer')
  const fields = read.fields(decode(payload.subarray(4, end)), 'answer')
  const error = fields.error
  const head: AnswerHead = { id: read.count(fields.id, 'id'), body: fields.body }
  const bytes = payload.subarray(end)
  if (error === undefined || error === null) return { head, bytes }
  const { code, message } = read.fields(error, 'error')
  return {
    head: {
      ...head,
      error: { code: read.text(code, 'code'), message: read.text(message, 'message', 4096) },
    },
    bytes,
  }
}
