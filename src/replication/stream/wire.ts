/**
 * What follower and source say to each other. Two lanes, each dialled by the follower:
 *
 * - the **stream** lane: `follow`, `plan`, `ready`, then entries one way and acknowledgements the other;
 * - the **bulk** lane: numbered requests, each answered by one frame with a small head and bytes.
 *
 * A stream lane is one attempt to follow: when it ends, all state of the attempt ends with it, and the next one
 * begins from the positions that are on disk.
 */
import { HotspareError } from '../../errors.js'
import { decode, encode } from '../../protocol/codec.js'
import type { BlobRef } from '../change.js'
import type { Extent, History, HistoryTerm, Term } from '../position.js'
import { historyTermsMax } from '../position.js'

/** Frame types above the channel; 0 is a message of the channel itself. */
export const frameTypes = {
  entry: 1,
  acknowledge: 2,
  answer: 3,
  /** A stretch of an entry that is longer than a frame; the frame of type `entry` that follows is its end. */
  entryPart: 4,
} as const

/** How a joining node's copy is brought to the active's state. */
export type RestoreMethod = 'none' | 'journal' | 'delta' | 'full'

/** Follower to source: what I have. */
export interface FollowMessage {
  readonly type: 'follow'
  /** The term in which the source is thought to be active. */
  readonly term: Term
  readonly promised: Term | undefined
  readonly extent: Extent
  /** False when the copy needs a restore whatever the positions say. */
  readonly complete: boolean
  /** True when single files of the copy are known to differ from its index, so that a delta is needed. */
  readonly repair: boolean
}

/** Source to follower: what we do. */
export interface PlanMessage {
  readonly type: 'plan'
  readonly method: RestoreMethod
  /** Shared by both sides' events of this restore. */
  readonly restoreId: string
  readonly term: Term
  /** The source's copy at the cut: entries follow from there when the method is `delta` or `full`. */
  readonly cut: Extent
  readonly inSync: readonly string[]
  /** The last change that both have; what the follower has beyond it is a divergence. */
  readonly commonSeq: number
  readonly diverged: boolean
}

/** Source to follower: I do not serve you. */
export interface RefuseMessage {
  readonly type: 'refuse'
  readonly code:
    | 'NOT_ACTIVE'
    | 'STALE_TERM'
    | 'HISTORY_UNRELATED'
    | 'POLICY_MISMATCH'
    | 'QUEUE_FULL'
  readonly reason: string
}

/** All messages of the stream lane. */
export type StreamMessage =
  | FollowMessage
  | PlanMessage
  | RefuseMessage
  /** Follower to source: prepared, let the entries come. */
  | { readonly type: 'ready' }
  /** Source to follower: you have all that there was when this was sent. */
  | { readonly type: 'inStep'; readonly seq: number }
  /** Follower to source: the restore has switched over; acknowledgements count from here. */
  | { readonly type: 'restored' }
  /** Source to follower: fetch this blob, its record comes once every in-sync follower has it. */
  | { readonly type: 'blob'; readonly blob: BlobRef }
  /** Follower to source: the blob is here, durably. */
  | { readonly type: 'blobHere'; readonly id: string }
  /** Follower to source: everything is here; what it took, so that both sides can report the same. */
  | {
      readonly type: 'rejoined'
      readonly files: number
      readonly bytes: number
      readonly ms: number
    }
  /** Follower to source: how the restore goes, so that both sides can report it. */
  | { readonly type: 'progress'; readonly progress: RestoreProgress }

/** How far a restore is. Bytes and files are those of the whole restore. */
export interface RestoreProgress {
  /**
   * What is under way: `vault` keeps what would be lost, `index` asks what differs, `files` and `state` copy,
   * `switch` puts the new copy in place of the old one, `done` is the end.
   */
  readonly phase: 'vault' | 'index' | 'files' | 'state' | 'switch' | 'done'
  /** Files that are here in full. */
  readonly files: number
  /** Files to move, as far as the index is known. */
  readonly filesTotal: number
  /** Bytes of files that are here. */
  readonly bytes: number
  /** Bytes of files to move, as far as the index is known. */
  readonly bytesTotal: number
}

/** A file as an index page names it. */
export interface IndexedFile {
  readonly path: string
  readonly version: number
  readonly size: number
  readonly mode: number
}

/** A path that holds no file any more. */
export interface IndexedRemoval {
  readonly path: string
  readonly version: number
}

/** Requests of the bulk lane. */
export type BulkRequest =
  /**
   * The files to move, in pages: those with a version above `sinceSeq`, and those among `paths`. `from` is the
   * cursor of the last page, 0 at first.
   */
  | {
      readonly op: 'index'
      readonly sinceSeq: number
      readonly paths: readonly string[]
      readonly from: number
    }
  | { readonly op: 'read'; readonly requests: readonly ReadStretch[] }
  /** Prepares a snapshot of a class of application state and says its size and position. */
  | { readonly op: 'state'; readonly className: string }
  | {
      readonly op: 'stateRead'
      readonly className: string
      readonly offset: number
      readonly length: number
    }
  | { readonly op: 'blob'; readonly blob: string; readonly offset: number; readonly length: number }
  /**
   * Journal entries after a position, for a candidate that lacks the end. One that is longer than an answer is asked for
   * from several offsets.
   */
  | { readonly op: 'entries'; readonly extent: Extent; readonly offset: number }

/** A stretch of a file. */
export interface ReadStretch {
  readonly path: string
  readonly offset: number
  readonly length: number
}

/** The head of an answer; what it holds depends on the request. */
export interface AnswerHead {
  readonly id: number
  readonly error?: { readonly code: string; readonly message: string }
  readonly body?: unknown
}

/** Paths in one index request or page. */
export const indexPathsMax = 4096
/** Stretches in one read request. */
export const readStretchesMax = 1024

function bad(field: string): HotspareError {
  return new HotspareError(
    'PROTOCOL_VIOLATION',
    `the field ${field} of a replication message is malformed`,
  )
}

/** A decoded value whose fields are still to be looked at. */
export type Fields = Readonly<Record<string, unknown>>

export function fieldsOf(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad(name)
  return value as Fields
}

export function seqOf(value: unknown, name: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw bad(name)
  return value
}

export function textOf(value: unknown, name: string, lengthMax = 1024): string {
  if (typeof value !== 'string' || value.length > lengthMax) throw bad(name)
  return value
}

export function listOf(value: unknown, name: string, lengthMax: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > lengthMax) throw bad(name)
  return value
}

export function termOfFields(value: unknown, name: string): Term {
  const fields = fieldsOf(value, name)
  return {
    epoch: seqOf(fields.epoch, `${name}.epoch`),
    nodeId: textOf(fields.nodeId, `${name}.nodeId`, 256),
    bootId: textOf(fields.bootId, `${name}.bootId`, 256),
  }
}

/** A history, checked to rise in epochs and positions. */
export function historyOf(value: unknown, name: string): History {
  const terms = listOf(value, name, historyTermsMax).map((one): HistoryTerm => {
    const firstSeq = seqOf(fieldsOf(one, name).firstSeq, `${name}.firstSeq`)
    return { ...termOfFields(one, name), firstSeq }
  })
  for (let at = 1; at < terms.length; at += 1) {
    const before = terms[at - 1]
    const term = terms[at]
    if (before === undefined || term === undefined) continue
    if (term.epoch <= before.epoch || term.firstSeq <= before.firstSeq) throw bad(name)
  }
  return terms
}

export function extentOf(value: unknown, name: string): Extent {
  const fields = fieldsOf(value, name)
  return { history: historyOf(fields.history, name), seq: seqOf(fields.seq, `${name}.seq`) }
}

const methods: readonly string[] = ['none', 'journal', 'delta', 'full']
const phases: readonly string[] = ['vault', 'index', 'files', 'state', 'switch', 'done']

function progressOf(value: unknown): RestoreProgress {
  const fields = fieldsOf(value, 'progress')
  const phase = textOf(fields.phase, 'phase')
  if (!phases.includes(phase)) throw bad('phase')
  return {
    phase: phase as RestoreProgress['phase'],
    files: seqOf(fields.files, 'files'),
    filesTotal: seqOf(fields.filesTotal, 'filesTotal'),
    bytes: seqOf(fields.bytes, 'bytes'),
    bytesTotal: seqOf(fields.bytesTotal, 'bytesTotal'),
  }
}

function blobOf(value: unknown): BlobRef {
  const fields = fieldsOf(value, 'blob')
  const id = textOf(fields.id, 'blob.id', 128)
  return { id, bytes: seqOf(fields.bytes, 'blob.bytes'), crc: seqOf(fields.crc, 'blob.crc') }
}

function planOf(fields: Fields): PlanMessage {
  const method = textOf(fields.method, 'method')
  if (!methods.includes(method)) throw bad('method')
  return {
    type: 'plan',
    method: method as RestoreMethod,
    restoreId: textOf(fields.restoreId, 'restoreId', 128),
    term: termOfFields(fields.term, 'term'),
    cut: extentOf(fields.cut, 'cut'),
    inSync: listOf(fields.inSync, 'inSync', 64).map((id) => textOf(id, 'inSync', 256)),
    commonSeq: seqOf(fields.commonSeq, 'commonSeq'),
    diverged: fields.diverged === true,
  }
}

/** Reads a message of the stream lane. @throws `PROTOCOL_VIOLATION` */
export function streamMessageOf(value: unknown): StreamMessage {
  const fields = fieldsOf(value, 'message')
  switch (fields.type) {
    case 'follow':
      return {
        type: 'follow',
        term: termOfFields(fields.term, 'term'),
        promised:
          fields.promised === undefined || fields.promised === null
            ? undefined
            : termOfFields(fields.promised, 'promised'),
        extent: extentOf(fields.extent, 'extent'),
        complete: fields.complete === true,
        repair: fields.repair === true,
      }
    case 'plan':
      return planOf(fields)
    case 'refuse':
      return {
        type: 'refuse',
        code: textOf(fields.code, 'code') as RefuseMessage['code'],
        reason: textOf(fields.reason, 'reason', 4096),
      }
    case 'ready':
      return { type: 'ready' }
    case 'inStep':
      return { type: 'inStep', seq: seqOf(fields.seq, 'seq') }
    case 'restored':
      return { type: 'restored' }
    case 'rejoined':
      return {
        type: 'rejoined',
        files: seqOf(fields.files, 'files'),
        bytes: seqOf(fields.bytes, 'bytes'),
        ms: seqOf(fields.ms, 'ms'),
      }
    case 'blob':
      return { type: 'blob', blob: blobOf(fields.blob) }
    case 'blobHere':
      return { type: 'blobHere', id: textOf(fields.id, 'id', 128) }
    case 'progress':
      return { type: 'progress', progress: progressOf(fields.progress) }
    default:
      throw bad('type')
  }
}

/** Reads a request of the bulk lane. @throws `PROTOCOL_VIOLATION` */
export function bulkRequestOf(value: unknown): { id: number; request: BulkRequest } {
  const fields = fieldsOf(value, 'request')
  return { id: seqOf(fields.id, 'id'), request: requestOf(fields) }
}

function requestOf(fields: Fields): BulkRequest {
  const stretch = (): { offset: number; length: number } => ({
    offset: seqOf(fields.offset, 'offset'),
    length: seqOf(fields.length, 'length'),
  })
  switch (fields.op) {
    case 'index': {
      const paths = listOf(fields.paths, 'paths', indexPathsMax)
      return {
        op: 'index',
        sinceSeq: seqOf(fields.sinceSeq, 'sinceSeq'),
        paths: paths.map((path) => textOf(path, 'path', 4096)),
        from: seqOf(fields.from, 'from'),
      }
    }
    case 'read':
      return {
        op: 'read',
        requests: listOf(fields.requests, 'requests', readStretchesMax).map(stretchOf),
      }
    case 'state':
      return { op: 'state', className: textOf(fields.className, 'className', 256) }
    case 'stateRead':
      return {
        op: 'stateRead',
        className: textOf(fields.className, 'className', 256),
        ...stretch(),
      }
    case 'blob':
      return { op: 'blob', blob: textOf(fields.blob, 'blob', 128), ...stretch() }
    case 'entries':
      return {
        op: 'entries',
        extent: extentOf(fields.extent, 'extent'),
        offset: seqOf(fields.offset, 'offset'),
      }
    default:
      throw bad('op')
  }
}

function stretchOf(value: unknown): ReadStretch {
  const [path, offset, length] = listOf(value, 'stretch', 3)
  return {
    path: textOf(path, 'path', 4096),
    offset: seqOf(offset, 'offset'),
    length: seqOf(length, 'length'),
  }
}

/** An answer frame: u32 length of the head, the head, the bytes. */
export function answerParts(head: AnswerHead, bytes?: Uint8Array): Uint8Array[] {
  const packed = encode(head)
  const prefix = Buffer.allocUnsafe(4)
  prefix.writeUInt32LE(packed.length, 0)
  return bytes === undefined ? [prefix, packed] : [prefix, packed, bytes]
}

/** Splits an answer frame; the bytes are a view. @throws `PROTOCOL_VIOLATION` */
export function readAnswer(payload: Uint8Array): { head: AnswerHead; bytes: Uint8Array } {
  if (payload.length < 4) throw bad('answer')
  const view = Buffer.from(payload.buffer, payload.byteOffset, payload.length)
  const end = 4 + view.readUInt32LE(0)
  if (end > payload.length) throw bad('answer')
  const fields = fieldsOf(decode(payload.subarray(4, end)), 'answer')
  const error = fields.error
  const head: AnswerHead = { id: seqOf(fields.id, 'id'), body: fields.body }
  const bytes = payload.subarray(end)
  if (error === undefined || error === null) return { head, bytes }
  const { code, message } = fieldsOf(error, 'error')
  return {
    head: {
      ...head,
      error: { code: textOf(code, 'code'), message: textOf(message, 'message', 4096) },
    },
    bytes,
  }
}

/** An acknowledgement: how many entries of this stream arrived, and how many of them are durable; two f64. */
export function acknowledgeParts(received: number, durable: number): Uint8Array[] {
  const frame = Buffer.allocUnsafe(16)
  frame.writeDoubleLE(received, 0)
  frame.writeDoubleLE(durable, 8)
  return [frame]
}

/** Reads an acknowledgement. @throws `PROTOCOL_VIOLATION` */
export function readAcknowledge(payload: Uint8Array): { received: number; durable: number } {
  if (payload.length !== 16) throw bad('acknowledgement')
  const view = Buffer.from(payload.buffer, payload.byteOffset, 16)
  const received = view.readDoubleLE(0)
  const durable = view.readDoubleLE(8)
  return { received: seqOf(received, 'received'), durable: seqOf(durable, 'durable') }
}
