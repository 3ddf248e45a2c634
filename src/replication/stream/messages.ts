/**
 * The messages between follower and source. They use two lanes, each dialled by the follower:
 *
 * - the **stream** lane: `follow`, `plan`, `ready`, then entries one way and acknowledgements the
 *   other;
 * - the **bulk** lane: numbered requests, each answered by one frame with a small head and bytes.
 *
 * A stream lane is one attempt to follow: when it ends, all state of the attempt is dropped, and
 * the next attempt begins from the positions on disk.
 *
 * Unknown types of messages and frames, and unknown fields, are ignored, because a later version
 * may send them. An unknown request of the bulk lane is answered with an error, because the peer
 * waits for an answer; an unknown restore method ends the stream.
 */
import type { BlobRef } from '../../changes/change.js'
import type { Extent, Term } from '../../history/position.js'
import { type Fields, fromPeer, optional, wordOf } from '../../protocol/fields.js'
import type { PlanMessage, RestoreMethod, RestoreProgress } from '../restore/plan.js'

/** Follower to source: the request to follow, with the state of the follower's copy. */
export interface FollowMessage {
  readonly type: 'follow'
  /** The term in which the follower believes the source to be active. */
  readonly term: Term
  readonly promised: Term | undefined
  readonly extent: Extent
  /** False when the copy needs a full restore, whatever its position. */
  readonly complete: boolean
  /**
   * True when files of the copy are known to differ from its index, so that at least a delta is
   * needed.
   */
  readonly repair: boolean
}

/** Source to follower: the request to follow is refused. */
export interface RefuseMessage {
  readonly type: 'refuse'
  readonly code: 'NOT_ACTIVE' | 'STALE_TERM' | 'HISTORY_UNRELATED' | 'POLICY_MISMATCH'
  readonly reason: string
}

/** All messages of the stream lane. */
export type StreamMessage =
  | FollowMessage
  | PlanMessage
  | RefuseMessage
  /** Follower to source: prepared; the source may send entries. */
  | { readonly type: 'ready' }
  /** Source to follower: everything up to `seq`, the source's last change, has been sent. */
  | { readonly type: 'inStep'; readonly seq: number }
  /** Follower to source: the restored copy is in place; acknowledgements count from now on. */
  | { readonly type: 'restored' }
  /**
   * Source to follower: fetch this blob; its entry is appended once every in-sync follower has it.
   */
  | { readonly type: 'blob'; readonly blob: BlobRef }
  /** Source to follower: no entry will name this blob, so the follower may remove it. */
  | { readonly type: 'blobGone'; readonly id: string }
  /** Follower to source: the follower has the blob durably. */
  | { readonly type: 'blobHere'; readonly id: string }
  /**
   * Follower to source: the follower is in step; with the totals, so that both sides report the
   * same.
   */
  | {
      readonly type: 'rejoined'
      readonly files: number
      readonly bytes: number
      readonly ms: number
    }
  /** Follower to source: the progress of the restore, so that both sides report it. */
  | { readonly type: 'progress'; readonly progress: RestoreProgress }

const read = fromPeer('a message of the stream lane')

const methods: readonly RestoreMethod[] = ['none', 'journal', 'delta', 'full']
const phases: readonly RestoreProgress['phase'][] = [
  'vault',
  'index',
  'files',
  'state',
  'switch',
  'done',
]

function progressOf(value: unknown): RestoreProgress {
  const fields = read.fields(value, 'progress')
  return {
    // An unknown phase is reported as `files`, the phase that takes most of the time.
    phase: wordOf(read.text(fields.phase, 'phase'), phases) ?? 'files',
    files: read.count(fields.files, 'files'),
    filesTotal: read.count(fields.filesTotal, 'filesTotal'),
    bytes: read.count(fields.bytes, 'bytes'),
    bytesTotal: read.count(fields.bytesTotal, 'bytesTotal'),
  }
}

function blobOf(value: unknown): BlobRef {
  const fields = read.fields(value, 'blob')
  const id = read.text(fields.id, 'blob.id', 128)
  return {
    id,
    bytes: read.count(fields.bytes, 'blob.bytes'),
    crc: read.count(fields.crc, 'blob.crc'),
  }
}

function planOf(fields: Fields): PlanMessage {
  const cut = read.extent(fields.cut, 'cut')
  const ackedSeq = read.count(fields.ackedSeq, 'ackedSeq')
  if (ackedSeq > cut.seq) throw read.bad('ackedSeq')
  return {
    type: 'plan',
    method: read.word(fields.method, 'method', methods),
    restoreId: read.text(fields.restoreId, 'restoreId', 128),
    term: read.term(fields.term, 'term'),
    cut,
    ackedSeq,
    inSync: read.texts(fields.inSync, 'inSync', 64, 256),
    commonSeq: read.count(fields.commonSeq, 'commonSeq'),
    diverged: fields.diverged === true,
  }
}

/**
 * Reads a message of the stream lane; undefined for one that only a later version knows.
 * @throws `PROTOCOL_VIOLATION`
 */
export function streamMessageOf(value: unknown): StreamMessage | undefined {
  const fields = read.fields(value, 'message')
  switch (fields.type) {
    case 'follow':
      return {
        type: 'follow',
        term: read.term(fields.term, 'term'),
        promised: optional(fields.promised, (term) => read.term(term, 'promised')),
        extent: read.extent(fields.extent, 'extent'),
        complete: fields.complete === true,
        repair: fields.repair === true,
      }
    case 'plan':
      return planOf(fields)
    case 'refuse':
      return {
        type: 'refuse',
        code: read.text(fields.code, 'code') as RefuseMessage['code'],
        reason: read.text(fields.reason, 'reason', 4096),
      }
    case 'ready':
      return { type: 'ready' }
    case 'inStep':
      return { type: 'inStep', seq: read.count(fields.seq, 'seq') }
    case 'restored':
      return { type: 'restored' }
    case 'rejoined':
      return {
        type: 'rejoined',
        files: read.count(fields.files, 'files'),
        bytes: read.count(fields.bytes, 'bytes'),
        ms: read.count(fields.ms, 'ms'),
      }
    case 'blob':
      return { type: 'blob', blob: blobOf(fields.blob) }
    case 'blobGone':
      return { type: 'blobGone', id: read.text(fields.id, 'id', 128) }
    case 'blobHere':
      return { type: 'blobHere', id: read.text(fields.id, 'id', 128) }
    case 'progress':
      return { type: 'progress', progress: progressOf(fields.progress) }
    default:
      read.text(fields.type, 'type')
      return undefined
  }
}

/**
 * An acknowledgement as two f64: how many entries of this stream arrived, and how many of them are
 * durable.
 */
export function acknowledgeParts(received: number, durable: number): Uint8Array[] {
  const frame = Buffer.allocUnsafe(16)
  frame.writeDoubleLE(received, 0)
  frame.writeDoubleLE(durable, 8)
  return [frame]
}

/** Reads an acknowledgement. @throws `PROTOCOL_VIOLATION` */
export function readAcknowledge(payload: Uint8Array): { received: number; durable: number } {
  if (payload.length < 16) throw read.bad('acknowledgement')
  const view = Buffer.from(payload.buffer, payload.byteOffset, 16)
  const received = view.readDoubleLE(0)
  const durable = view.readDoubleLE(8)
  return { received: read.count(received, 'received'), durable: read.count(durable, 'durable') }
}
