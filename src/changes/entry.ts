/**
 * Entries: the one encoding that journal and wire share. A batch of changes is encoded and
 * checksummed once on the active; the same bytes are appended to its journal, sent, and appended to
 * each standby's journal.
 *
 * Layout of version 1, little-endian, 48 bytes of header:
 *
 * | at | type | field |
 * | --- | --- | --- |
 * | 0 | u32 | length of the whole entry |
 * | 4 | u32 | crc32 of all bytes from 8 |
 * | 8 | u8 | format version, 1 |
 * | 9 | u8 | kind: 1 changes, 2 term, 3 in-sync set |
 * | 10 | u16 | flags, 0 |
 * | 12 | u32 | count: how many sequence numbers it uses (0 for all kinds but changes) |
 * | 16 | f64 | firstSeq: the first of them; where count is 0, the next one |
 * | 24 | f64 | epoch of the term it was written in |
 * | 32 | f64 | ackedSeq: all changes of its tenure up to this one had been acknowledged |
 * | 40 | u32 | bytes of the meta part (msgpack) that follows; the rest is payload |
 * | 44 | u32 | term tag: crc32 of node id, NUL, boot id |
 */
import { crc32 } from 'node:zlib'
import { HotspareError } from '../errors.js'
import type { Term } from '../history/position.js'
import { decode, encode } from '../protocol/codec.js'
import { fromPeer } from '../protocol/fields.js'
import type { Change, SingleChange } from './change.js'
import { changeKinds } from './change.js'
import { readChange } from './decode-change.js'
import { isInRun, runTuple, type UpdateRun } from './update-run.js'

export const entryHeaderBytes = 48
export const entryFormatVersion = 1
/**
 * Longest entry, in bytes. A write that would need more is `WRITE_TOO_LARGE`; a received one that
 * is longer counts as damaged. Batches are closed long before they reach it.
 */
export const entryBytesMax: number = 16 * 1024 * 1024

export const entryKinds = { changes: 1, term: 2, inSync: 3 } as const
export type EntryKind = keyof typeof entryKinds
const kindNames: Record<number, EntryKind | undefined> = { 1: 'changes', 2: 'term', 3: 'inSync' }

/** The fields of the header. */
export interface EntryHeader {
  readonly kind: EntryKind
  readonly length: number
  readonly count: number
  readonly firstSeq: number
  readonly epoch: number
  readonly ackedSeq: number
  readonly metaBytes: number
  readonly termTag: number
}

/** An entry as bytes, with its header read and verified. */
export interface Entry {
  readonly header: EntryHeader
  readonly bytes: Uint8Array
}

/** The last sequence number of an entry; `firstSeq - 1` for an entry without changes. */
export function lastSeqOf(header: EntryHeader): number {
  return header.firstSeq + header.count - 1
}

const tags = new Map<string, number>()
/** Terms whose tag is cached; when there are more, the cache is cleared. */
const tagsMax = 4096

/** The short form of a term's identity that every entry carries. */
export function termTagOf(term: Term): number {
  const key = `${term.nodeId}\0${term.bootId}`
  const known = tags.get(key)
  if (known !== undefined) return known
  if (tags.size >= tagsMax) tags.clear()
  const tag = crc32(key)
  tags.set(key, tag)
  return tag
}

/** The parts of an entry before it is encoded. */
interface EntryParts {
  readonly kind: EntryKind
  readonly term: Term
  readonly firstSeq: number
  readonly count: number
  readonly ackedSeq: number
  readonly meta: unknown
  readonly payload: readonly Uint8Array[]
}

function encodeEntry(parts: EntryParts): Entry {
  const meta = encode(parts.meta)
  let length = entryHeaderBytes + meta.length
  for (const bytes of parts.payload) length += bytes.length
  if (length > entryBytesMax) {
    throw new HotspareError(
      'WRITE_TOO_LARGE',
      `an entry of the journal would have ${length} bytes, above the limit of ${entryBytesMax}`,
      { details: { limit: entryBytesMax, actual: length } },
    )
  }
  const buffer = Buffer.allocUnsafeSlow(length)
  buffer.set(meta, entryHeaderBytes)
  let at = entryHeaderBytes + meta.length
  for (const bytes of parts.payload) {
    buffer.set(bytes, at)
    at += bytes.length
  }
  const termTag = termTagOf(parts.term)
  buffer.writeUInt32LE(length, 0)
  buffer[8] = entryFormatVersion
  buffer[9] = entryKinds[parts.kind]
  buffer.writeUInt16LE(0, 10)
  buffer.writeUInt32LE(parts.count, 12)
  buffer.writeDoubleLE(parts.firstSeq, 16)
  buffer.writeDoubleLE(parts.term.epoch, 24)
  buffer.writeDoubleLE(parts.ackedSeq, 32)
  buffer.writeUInt32LE(meta.length, 40)
  buffer.writeUInt32LE(termTag, 44)
  buffer.writeUInt32LE(crc32(buffer.subarray(8)), 4)
  const { kind, firstSeq, count, ackedSeq } = parts
  const { epoch } = parts.term
  const header = { kind, length, count, firstSeq, epoch, ackedSeq, metaBytes: meta.length, termTag }
  return { header, bytes: buffer }
}

/** Encodes a batch. `firstSeq` is the sequence number of its first change. */
export function encodeChanges(
  term: Term,
  firstSeq: number,
  ackedSeq: number,
  changes: readonly Change[],
): Entry {
  const payload: Uint8Array[] = []
  const meta: unknown[] = []
  for (let at = 0; at < changes.length; ) {
    const change = changes[at]
    if (isInRun(change)) {
      const { tuple, end } = runTuple(changes, at, payload)
      meta.push(tuple)
      at = end
      continue
    }
    if (change !== undefined) meta.push(tupleOf(change, payload))
    at += 1
  }
  const count = changes.length
  return encodeEntry({ kind: 'changes', term, firstSeq, count, ackedSeq, meta, payload })
}

/**
 * Encodes the entry that opens a term. `goesOn`: the term continues the tenure of the entry before
 * it.
 */
export function encodeTerm(
  term: Term,
  firstSeq: number,
  ackedSeq: number,
  goesOn: boolean = false,
): Entry {
  const meta = [term.epoch, term.nodeId, term.bootId, ...(goesOn ? [true] : [])]
  return encodeEntry({ kind: 'term', term, firstSeq, count: 0, ackedSeq, meta, payload: [] })
}

/** Encodes the in-sync set as an entry of the journal. */
export function encodeInSync(
  term: Term,
  firstSeq: number,
  ackedSeq: number,
  members: readonly string[],
): Entry {
  const meta = [...members]
  return encodeEntry({ kind: 'inSync', term, firstSeq, count: 0, ackedSeq, meta, payload: [] })
}

function tupleOf(change: Change, payload: Uint8Array[]): unknown[] {
  switch (change.kind) {
    case 'update':
      return [changeKinds.update, change.className, change.value]
    case 'put': {
      const { className, path, mode, blob } = change
      return [changeKinds.put, className, path, mode, ...payloadOf(change.bytes, blob, payload)]
    }
    case 'patch': {
      const { className, path, offset, blob } = change
      return [changeKinds.patch, className, path, offset, ...payloadOf(change.bytes, blob, payload)]
    }
    case 'truncate':
      return [changeKinds.truncate, change.className, change.path, change.size]
    case 'remove':
      return [changeKinds.remove, change.className, change.path]
    case 'transaction':
      return [changeKinds.transaction, change.changes.map((inner) => tupleOf(inner, payload))]
  }
}

function payloadOf(
  bytes: Uint8Array | undefined,
  blob: { id: string; bytes: number; crc: number } | undefined,
  payload: Uint8Array[],
): unknown[] {
  if (blob !== undefined) return [blob.bytes, blob.id, blob.crc]
  const inline = bytes ?? new Uint8Array(0)
  payload.push(inline)
  return [inline.length]
}

/** Why bytes are not an entry. `incomplete`: they may be the beginning of one. */
export type EntryFault = 'incomplete' | 'corrupt'

/** Reads and verifies the entry that starts at `offset`; the entry's bytes are a view. */
export function readEntry(bytes: Uint8Array, offset = 0): Entry | EntryFault {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset + offset, bytes.length - offset)
  if (view.length < entryHeaderBytes) return 'incomplete'
  const length = view.readUInt32LE(0)
  if (length < entryHeaderBytes || length > entryBytesMax) return 'corrupt'
  if (view.length < length) return 'incomplete'
  const own = view.subarray(0, length)
  if (crc32(own.subarray(8)) !== own.readUInt32LE(4)) return 'corrupt'
  const kind = kindNames[own[9] ?? 0]
  if (own[8] !== entryFormatVersion || kind === undefined) {
    throw new HotspareError(
      'STORAGE_FORMAT',
      `an entry of format version ${own[8]} and kind ${own[9]} was written by a newer version`,
    )
  }
  const header: EntryHeader = {
    kind,
    length,
    count: own.readUInt32LE(12),
    firstSeq: own.readDoubleLE(16),
    epoch: own.readDoubleLE(24),
    ackedSeq: own.readDoubleLE(32),
    metaBytes: own.readUInt32LE(40),
    termTag: own.readUInt32LE(44),
  }
  return headerIsSound(header) ? { header, bytes: own } : 'corrupt'
}

function headerIsSound(header: EntryHeader): boolean {
  return (
    Number.isSafeInteger(header.firstSeq) &&
    header.firstSeq >= 1 &&
    Number.isSafeInteger(header.epoch) &&
    header.epoch >= 1 &&
    Number.isSafeInteger(header.ackedSeq) &&
    header.ackedSeq >= 0 &&
    entryHeaderBytes + header.metaBytes <= header.length &&
    (header.kind === 'changes' ? header.count >= 1 : header.count === 0)
  )
}

function metaOf(entry: Entry): unknown {
  return decode(entry.bytes.subarray(entryHeaderBytes, entryHeaderBytes + entry.header.metaBytes))
}

const read = fromPeer('an entry')

/** The parts of a batch, in order: changes, and runs that each represent several. */
export type BatchPart = Change | UpdateRun

/** The parts of a batch, their bytes as views into the entry. */
export function partsOf(entry: Entry): BatchPart[] {
  const meta = read.list(metaOf(entry), 'batch', entry.header.count)
  const payload = { bytes: entry.bytes, at: entryHeaderBytes + entry.header.metaBytes }
  let count = 0
  const parts = meta.map((tuple) => {
    const part = readChange(tuple, payload)
    count += part.kind === 'updateRun' ? part.count : 1
    return part
  })
  if (count !== entry.header.count) throw read.bad('batch')
  if (payload.at !== entry.header.length) throw read.bad('payload')
  return parts
}

/** The changes of a batch one by one. */
export function changesOf(entry: Entry): Change[] {
  return partsOf(entry).flatMap((part) => (part.kind === 'updateRun' ? part.changes() : part))
}

/** The term that an entry of kind `term` opens. */
export function termOf(entry: Entry): Term {
  const { epoch, termTag } = entry.header
  const [named, nodeId, bootId] = read.list(metaOf(entry), 'term')
  const term = { epoch, nodeId: idOf(nodeId, 'nodeId'), bootId: idOf(bootId, 'bootId') }
  if (named !== epoch || termTagOf(term) !== termTag) throw read.bad('term')
  return term
}

/**
 * Whether an entry opens a later term of a tenure that had one before. False also for an entry of
 * an older version, which did not record it.
 */
export function goesOn(entry: Entry): boolean {
  if (entry.header.kind !== 'term') return false
  const meta = metaOf(entry)
  return Array.isArray(meta) && meta[3] === true
}

/**
 * Longest id of a node, a boot or a member, in UTF-16 units; an entry with a longer one is
 * malformed.
 */
const idLengthMax = 256
/** Members in an in-sync set, far above `membersMax`; an entry with more is malformed. */
const inSyncMax = 1024

function idOf(value: unknown, field: string): string {
  return read.name(value, field, idLengthMax)
}

/** The members of an entry of kind `inSync`. */
export function inSyncOf(entry: Entry): string[] {
  return read.list(metaOf(entry), 'inSync', inSyncMax).map((member) => idOf(member, 'inSync'))
}

/** All single changes of a change. */
export function singlesOf(change: Change): readonly SingleChange[] {
  return change.kind === 'transaction' ? change.changes : [change]
}
