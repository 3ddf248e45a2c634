/**
 * Checks that both sides keep the rules of buffer ownership in the interfaces of storage and
 * transport. Bytes that are passed to a call are overwritten as soon as the rules allow their owner
 * to do so, so an adapter that reads them later stores wrong bytes. And a copy of the bytes that
 * the library lends to an adapter shows when the library changes them too early.
 */
import type { Log, OpenStorage, Storage } from '../../../interfaces/storage.js'
import type { Connection, Transport } from '../../../interfaces/transport.js'
import type { TreeOperation } from '../../../interfaces/tree-store.js'
import { eachConnection } from './each-connection.js'
import type { SeededRandom } from './seeded-random.js'

/** What bytes are filled with whose owner may use them for something else. */
const spoiledByte = 0xdd
/** Frames of a connection that are looked at again later. */
const framesKeptMax = 16
/** Bytes of these frames. */
const bytesKeptMax = 2 * 1024 * 1024

/** Called with the name of a call whose bytes changed while they were lent. */
export type Changed = (call: string) => void

/** The same bytes in memory that the owner may use again. */
export function overwritten(bytes: Uint8Array): void {
  bytes.fill(spoiledByte)
}

/** The same storage; it gets bytes that are overwritten as soon as the caller may do that. */
export function lentStorage(inner: Storage, changed: Changed): Storage {
  return {
    name: inner.name,
    open: async (owner, waits) => lentOpen(await inner.open(owner, waits), changed),
  }
}

function lentOpen(open: OpenStorage, changed: Changed): OpenStorage {
  const { documents, logs, objects, tree } = open
  return {
    documents: {
      read: (name) => documents.read(name),
      write: (name, value) => {
        const loan = new Loan([value], 'documents.write', changed)
        return loan.until(documents.write(name, loan.copyOf(0)))
      },
      remove: (name) => documents.remove(name),
      list: (prefix) => documents.list(prefix),
    },
    logs: {
      list: (area) => logs.list(area),
      open: async (area, name) => lentLog(await logs.open(area, name), changed),
      remove: (area, names) => logs.remove(area, names),
      replace: (from, to) => logs.replace(from, to),
    },
    objects: {
      list: (area, prefix) => objects.list(area, prefix),
      write: (area, buffer, slices) => {
        const lent = new Uint8Array(buffer)
        const writing = objects.write(area, lent, slices)
        overwritten(lent)
        return writing
      },
      read: (area, name, offset, length) => objects.read(area, name, offset, length),
      sync: (area, names) => objects.sync(area, names),
      remove: (area, names) => objects.remove(area, names),
    },
    tree: {
      ...(tree.foldsCase === undefined ? {} : { foldsCase: tree.foldsCase }),
      scan: (skipped) => tree.scan(skipped),
      stat: (paths) => tree.stat(paths),
      obstacles: (paths) => tree.obstacles(paths),
      read: (requests, lend) => tree.read(requests, lend),
      apply: (operations) => {
        const parts = operations.flatMap((each) => ('bytes' in each ? [each.bytes] : []))
        if (parts.length === 0) return tree.apply(operations)
        const loan = new Loan(parts, 'tree.apply', changed)
        return loan.until(tree.apply(withCopies(operations, loan)))
      },
      takeIn: () => tree.takeIn(),
      sync: (paths) => tree.sync(paths),
    },
    ...(open.room === undefined ? {} : { room: open.room }),
    close: () => open.close(),
  }
}

function withCopies(operations: readonly TreeOperation[], loan: Loan): TreeOperation[] {
  let next = 0
  return operations.map((operation) => {
    if (!('bytes' in operation)) return operation
    next += 1
    return { ...operation, bytes: loan.copyOf(next - 1) }
  })
}

function lentLog(log: Log, changed: Changed): Log {
  return {
    get bytes() {
      return log.bytes
    },
    append: (parts) => {
      const loan = new Loan(parts, 'log.append', changed)
      return loan.until(log.append(loan.copies))
    },
    read: (offset, length) => log.read(offset, length),
    truncate: (bytes) => log.truncate(bytes),
    close: () => log.close(),
  }
}

/** Bytes that the library has lent, with a copy of their content at that time. */
class Loan {
  readonly copies: readonly Uint8Array[]
  readonly bytes: number
  readonly #parts: readonly Uint8Array[]
  readonly #call: string
  readonly #changed: Changed

  constructor(parts: readonly Uint8Array[], call: string, changed: Changed) {
    this.#parts = [...parts]
    this.copies = parts.map((part) => new Uint8Array(part))
    this.bytes = parts.reduce((sum, { length }) => sum + length, 0)
    this.#call = call
    this.#changed = changed
  }

  copyOf(at: number): Uint8Array {
    return this.copies[at] ?? new Uint8Array()
  }

  /** The same outcome as `work`; the loan ends before the outcome is reported. */
  async until<T>(work: Promise<T>): Promise<T> {
    try {
      return await work
    } finally {
      this.look()
      for (const copy of this.copies) overwritten(copy)
    }
  }

  /** Reports the call if the bytes have changed. */
  look(): void {
    const isSame = this.#parts.every((part, at) => Buffer.compare(part, this.copyOf(at)) === 0)
    if (!isSame) this.#changed(this.#call)
  }
}

/**
 * The same transport; it calls `taken` of most frames only after many later frames, and of the last
 * ones never. Bytes that are lent to the receiver are overwritten by the memory transport itself.
 */
export function lentTransport(inner: Transport, random: SeededRandom, changed: Changed): Transport {
  return eachConnection(inner, (connection) => lend(connection, random, changed))
}

interface KeptFrame {
  readonly loan: Loan
  readonly taken: (() => void) | undefined
}

function lend(connection: Connection, random: SeededRandom, changed: Changed): void {
  const send = connection.send.bind(connection)
  const kept: KeptFrame[] = []
  let keptBytes = 0
  connection.send = (parts, taken) => {
    const isEarly = taken !== undefined && random.chance(0.3)
    if (isEarly) return send(parts, taken)
    const frame = { loan: new Loan(parts, 'connection.send', changed), taken }
    kept.push(frame)
    keptBytes += frame.loan.bytes
    while (kept.length > framesKeptMax || keptBytes > bytesKeptMax) {
      const oldest = kept.shift()
      if (oldest === undefined) break
      keptBytes -= oldest.loan.bytes
      oldest.loan.look()
      oldest.taken?.()
    }
    return send(parts)
  }
}
