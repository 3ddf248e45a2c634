/**
 * Observes the messages and disk calls of a process, for checkers of their order: a promise is
 * durable before it is sent, a file before the checkpoint that no longer needs its changes. Nothing
 * is changed or delayed.
 */

import { journalArea } from '../../../copy/checkpoint/recovery.js'
import type { DurableFacts } from '../../../core/state/facts.js'
import type { ObjectStore } from '../../../interfaces/object-store.js'
import type { Log, LogStore, OpenStorage, Storage } from '../../../interfaces/storage.js'
import type { Connection, Transport } from '../../../interfaces/transport.js'
import type { TreeOperation } from '../../../interfaces/tree-store.js'
import { messageType } from '../../../protocol/channel.js'
import { decode } from '../../../protocol/codec.js'
import { readAnswer } from '../../../replication/bulk/messages.js'
import { frameTypes } from '../../../replication/frame-types.js'
import { eachConnection } from './each-connection.js'

/** A message that is passed to a connection. */
export interface SentMessage {
  /** The address of the receiver. */
  readonly to: string
  /**
   * The decoded message: an envelope on the control lane, else a message of the stream or bulk
   * lane.
   */
  readonly message: unknown
  /** Whether it is the body of an answer of the bulk lane. */
  readonly isAnswer: boolean
}

/** The listeners. */
export interface TapHooks {
  sent(sent: SentMessage): void
  /** The bytes queued on a connection after a frame of this type was passed to it. */
  queued(to: string, bytes: number, type: number): void
  /** These facts became durable, or were read from the disk. */
  factsDurable(facts: Pick<DurableFacts, 'promised'>): void
  /** Entries are about to be appended to the journal. */
  journaling(): void
  /** A document is about to be written. */
  document(name: string, value: Uint8Array): void
  /** Operations are about to be applied to the tree. */
  applying(operations: readonly TreeOperation[]): void
  /** These objects or files were written, and a power failure may lose that. */
  dirty(keys: readonly string[]): void
  /** These objects or files are durable; undefined means all of this kind. */
  synced(kind: string, keys: readonly string[] | undefined): void
}

/** The key of an object or a file of the tree in `dirty` and `synced`. */
export function dirtyKey(kind: string, name: string): string {
  return `${kind} ${name}`
}

/** The same transport; reports what is sent. */
export function tappedTransport(inner: Transport, hooks: TapHooks): Transport {
  return eachConnection(inner, (connection) => tap(connection, hooks))
}

function tap(connection: Connection, hooks: TapHooks): void {
  const send = connection.send.bind(connection)
  const { remote } = connection
  connection.send = (parts, taken) => {
    const sent = messageOf(remote, parts)
    if (sent !== undefined) hooks.sent(sent)
    const room = send(parts, taken)
    hooks.queued(remote, connection.queuedBytes, parts[0]?.[0] ?? messageType)
    return room
  }
}

/**
 * A message of an open channel; undefined for frames of the handshake, entries and
 * acknowledgements.
 */
function messageOf(to: string, parts: readonly Uint8Array[]): SentMessage | undefined {
  const [head, first, second] = parts
  if (parts.length < 3 || head?.length !== 1 || first === undefined) return undefined
  try {
    if (head[0] === messageType) return { to, message: decode(first), isAnswer: false }
    if (head[0] !== frameTypes.answer || second === undefined) return undefined
    const { body } = readAnswer(Buffer.concat([first, second])).head
    return { to, message: body, isAnswer: true }
  } catch {
    return undefined
  }
}

/** The same storage; reports what is written and what is durable, in order. */
export function tappedStorage(inner: Storage, hooks: TapHooks): Storage {
  return {
    name: inner.name,
    open: async (owner) => tapOpen(await inner.open(owner), hooks),
  }
}

function tapOpen(open: OpenStorage, hooks: TapHooks): OpenStorage {
  const { documents, tree } = open
  return {
    documents: {
      read: (name) => documents.read(name),
      write: (name, value) => {
        hooks.document(name, value)
        return documents.write(name, value)
      },
      remove: (name) => documents.remove(name),
      list: (prefix) => documents.list(prefix),
    },
    logs: tapLogs(open.logs, hooks),
    objects: tapObjects(open.objects, hooks),
    tree: {
      scan: (skipped) => tree.scan(skipped),
      stat: (paths) => tree.stat(paths),
      obstacles: (paths) => tree.obstacles(paths),
      read: (requests, lend) => tree.read(requests, lend),
      apply: async (operations) => {
        hooks.applying(operations)
        const stats = await tree.apply(operations)
        hooks.dirty(operations.flatMap(touchedBy))
        return stats
      },
      takeIn: () => tree.takeIn(),
      sync: async (paths) => {
        await tree.sync(paths)
        hooks.synced(
          'tree',
          paths === 'all' ? undefined : paths.map((path) => dirtyKey('tree', path)),
        )
      },
    },
    close: () => open.close(),
  }
}

function touchedBy(operation: TreeOperation): string[] {
  if (operation.kind !== 'keep') return [dirtyKey('tree', operation.path)]
  return [dirtyKey(operation.area, operation.name)]
}

function tapObjects(objects: ObjectStore, hooks: TapHooks): ObjectStore {
  return {
    list: (area, prefix) => objects.list(area, prefix),
    write: async (area, buffer, slices) => {
      await objects.write(area, buffer, slices)
      hooks.dirty(slices.map(({ name }) => dirtyKey(area, name)))
    },
    read: (area, name, offset, length) => objects.read(area, name, offset, length),
    sync: async (area, names) => {
      await objects.sync(area, names)
      hooks.synced(
        area,
        names?.map((name) => dirtyKey(area, name)),
      )
    },
    remove: async (area, names) => {
      await objects.remove(area, names)
      hooks.synced(
        area,
        names.map((name) => dirtyKey(area, name)),
      )
    },
  }
}

const factsArea = 'meta'
const slotBytes = 4096

function tapLogs(logs: LogStore, hooks: TapHooks): LogStore {
  return {
    list: (area) => logs.list(area),
    open: async (area, name) => {
      const log = await logs.open(area, name)
      if (area === factsArea) return tapFacts(log, hooks)
      return area === journalArea ? tapJournal(log, hooks) : log
    },
    remove: (area, names) => logs.remove(area, names),
    replace: (from, to) => logs.replace(from, to),
  }
}

function tapJournal(log: Log, hooks: TapHooks): Log {
  return {
    get bytes() {
      return log.bytes
    },
    append: (parts) => {
      hooks.journaling()
      return log.append(parts)
    },
    read: (offset, length) => log.read(offset, length),
    truncate: (bytes) => log.truncate(bytes),
    close: () => log.close(),
  }
}

function tapFacts(log: Log, hooks: TapHooks): Log {
  return {
    get bytes() {
      return log.bytes
    },
    append: async (parts) => {
      await log.append(parts)
      tell(Buffer.concat(parts), hooks)
    },
    read: async (offset, length) => {
      const bytes = await log.read(offset, length)
      tell(bytes, hooks)
      return bytes
    },
    truncate: (bytes) => log.truncate(bytes),
    close: () => log.close(),
  }
}

/** Reports the last facts in these slots. */
function tell(bytes: Uint8Array, hooks: TapHooks): void {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = Math.floor(view.length / slotBytes) - 1; at >= 0; at -= 1) {
    const start = at * slotBytes
    const length = view.readUInt32LE(start)
    try {
      const content = decode(view.subarray(start + 8, start + 8 + length))
      hooks.factsDurable(content as Pick<DurableFacts, 'promised'>)
      return
    } catch {
      // A torn slot is skipped, so the one before it counts.
    }
  }
}
