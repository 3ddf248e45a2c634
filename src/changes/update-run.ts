/**
 * Runs of updates of one class whose values are bytes. A run is one tuple, whatever its length: the
 * class and a column of the values' lengths. The values follow one another in the payload, so the
 * codec does not copy them, and a receiver creates change objects or views only when it applies
 * them.
 */
import { fromPeer } from '../protocol/fields.js'
import type { Change, PayloadCursor, UpdateChange } from './change.js'
import { changeKinds } from './change.js'

/** Bytes of a length in the column: u32, little-endian. */
const lengthBytes = 4

const read = fromPeer('a run of updates')

/** An update that is encoded in a run. */
export interface BytesUpdate extends UpdateChange {
  readonly value: Uint8Array
}

/** Whether a change of a batch is encoded in a run; those in a transaction are not. */
export function isInRun(change: Change | undefined): change is BytesUpdate {
  return change?.kind === 'update' && change.value instanceof Uint8Array
}

/**
 * The tuple of the run that begins with the change at `start`; its values are added to the payload.
 */
export function runTuple(
  changes: readonly Change[],
  start: number,
  payload: Uint8Array[],
): { readonly tuple: readonly unknown[]; readonly end: number } {
  const className = changes[start]?.kind === 'update' ? changes[start].className : ''
  let end = start
  for (; end < changes.length; end += 1) {
    const change = changes[end]
    if (!isInRun(change) || change.className !== className) break
    payload.push(change.value)
  }
  const lengths = Buffer.allocUnsafe((end - start) * lengthBytes)
  const first = payload.length - (end - start)
  for (let at = 0; at < end - start; at += 1) {
    lengths.writeUInt32LE(payload[first + at]?.length ?? 0, at * lengthBytes)
  }
  return { tuple: [changeKinds.updateRun, className, lengths], end }
}

/** A decoded run: as many updates as it has values. */
export class UpdateRun {
  readonly kind = 'updateRun'
  readonly className: string
  /** How many updates it has. */
  readonly count: number
  /** Bytes of all its values. */
  readonly bytes: number
  readonly #lengths: Buffer
  readonly #payload: Uint8Array
  readonly #start: number

  /**
   * Advances the cursor past the values.
   * @throws `PROTOCOL_VIOLATION` when the column is malformed or empty, or the lengths exceed the
   *   payload
   */
  constructor(className: string, column: unknown, cursor: PayloadCursor) {
    const { buffer, byteOffset, length } = read.bytes(column, 'lengths')
    if (length === 0 || length % lengthBytes > 0) throw read.bad('lengths')
    this.className = className
    this.count = length / lengthBytes
    this.#lengths = Buffer.from(buffer, byteOffset, length)
    this.#payload = cursor.bytes
    this.#start = cursor.at
    // A sum of whole numbers below 2^32, at most as many as an entry has bytes: exact.
    let end = cursor.at
    for (let at = 0; at < length; at += lengthBytes) end += this.#lengths.readUInt32LE(at)
    if (end > cursor.bytes.length) throw read.bad('lengths', 'within the bytes that there are')
    this.bytes = end - cursor.at
    cursor.at = end
  }

  /** Calls back with each value, in order: a view into the entry. */
  forEach(visit: (value: Uint8Array, index: number) => void): void {
    let start = this.#start
    for (let index = 0; index < this.count; index += 1) {
      const end = start + this.#lengths.readUInt32LE(index * lengthBytes)
      visit(this.#payload.subarray(start, end), index)
      start = end
    }
  }

  /** Its updates, one by one. */
  changes(): UpdateChange[] {
    const { className } = this
    const changes: UpdateChange[] = []
    this.forEach((value) => {
      changes.push({ kind: 'update', className, value })
    })
    return changes
  }
}
