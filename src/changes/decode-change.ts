/**
 * Decodes a change from its tuple and checks every field, because the bytes may come from a peer.
 */
import { HotspareError } from '../errors.js'
import { checkPath } from '../policy/path-rules.js'
import { fromPeer } from '../protocol/fields.js'
import type { BlobRef, Change, PayloadCursor, SingleChange } from './change.js'
import { changeKinds } from './change.js'
import { isInRun, UpdateRun } from './update-run.js'

/** Changes in one transaction; a larger one is refused with `WRITE_TOO_LARGE`. */
export const transactionChangesMax = 10_000

/**
 * Highest offset or size accepted from a peer; a higher one is `PROTOCOL_VIOLATION`. The limit for
 * writes is lower.
 */
const decodedBytesMax = 2 ** 44

const blobName = /^[a-z0-9][a-z0-9._-]{0,127}$/

const read = fromPeer('a change')

function classOf(value: unknown): string {
  return read.name(value, 'class', 256)
}

function pathOf(value: unknown): string {
  return checkPath(read.text(value, 'path', Number.POSITIVE_INFINITY))
}

/** An offset or size in a file. */
function fileSize(value: unknown, field: string): number {
  return read.count(value, field, decodedBytesMax)
}

interface Payload {
  readonly bytes: Uint8Array | undefined
  readonly blob: BlobRef | undefined
}

function payload(tuple: readonly unknown[], at: number, cursor: PayloadCursor): Payload {
  const length = fileSize(tuple[at], 'length')
  if (tuple.length > at + 1) {
    const id = read.name(tuple[at + 1], 'blob')
    if (!blobName.test(id)) throw read.bad('blob')
    return { bytes: undefined, blob: { id, bytes: length, crc: read.count(tuple[at + 2], 'crc') } }
  }
  const end = cursor.at + length
  if (end > cursor.bytes.length) throw read.bad('length')
  const bytes = cursor.bytes.subarray(cursor.at, end)
  cursor.at = end
  return { bytes, blob: undefined }
}

/** Decodes one tuple into a change or a run of updates; its inline bytes are views. */
export function readChange(tuple: unknown, cursor: PayloadCursor): Change | UpdateRun {
  const fields = read.list(tuple, 'tuple')
  if (fields[0] === changeKinds.updateRun) {
    return new UpdateRun(classOf(fields[1]), fields[2], cursor)
  }
  if (fields[0] !== changeKinds.transaction) {
    const change = readSingle(fields, cursor)
    // An update with bytes must come as a run: its bytes would otherwise be in the tuple, and a
    // run's in the payload, so there would be two encodings.
    if (isInRun(change)) throw read.bad('value')
    return change
  }
  const inner = read.list(fields[1], 'transaction', transactionChangesMax)
  const changes = inner.map((one) => readSingle(read.list(one, 'tuple'), cursor))
  return { kind: 'transaction', changes }
}

function readSingle(tuple: readonly unknown[], cursor: PayloadCursor): SingleChange {
  const className = classOf(tuple[1])
  switch (tuple[0]) {
    case changeKinds.update:
      return { kind: 'update', className, value: tuple[2] }
    case changeKinds.put: {
      const mode = read.count(tuple[3], 'mode') & 0o777
      return { kind: 'put', className, path: pathOf(tuple[2]), mode, ...payload(tuple, 4, cursor) }
    }
    case changeKinds.patch: {
      const offset = fileSize(tuple[3], 'offset')
      return {
        kind: 'patch',
        className,
        path: pathOf(tuple[2]),
        offset,
        ...payload(tuple, 4, cursor),
      }
    }
    case changeKinds.truncate:
      return {
        kind: 'truncate',
        className,
        path: pathOf(tuple[2]),
        size: fileSize(tuple[3], 'size'),
      }
    case changeKinds.remove:
      return { kind: 'remove', className, path: pathOf(tuple[2]) }
    default:
      throw new HotspareError(
        'STORAGE_FORMAT',
        `a change of kind ${String(tuple[0])} was written by a newer version`,
      )
  }
}
