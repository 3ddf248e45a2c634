/**
 * Stores the promise of a node and how its last process ended. Promises are written during a
 * takeover, so they are appended to a log: one small write, where replacing a file would also have
 * to make a new file and its name durable.
 *
 * Every write contains all facts, in two equal slots of a fixed size, and the last good slot
 * counts. A torn append was never acknowledged, so the facts before it still hold; the second slot
 * distinguishes it from a slot whose sector has decayed later.
 */
import { crc32 } from 'node:zlib'
import { leftEmptyMax } from '../../core/standing/left-empty.js'
import type { DurableFacts } from '../../core/state/facts.js'
import { HotspareError } from '../../errors.js'
import type { Term } from '../../history/position.js'
import type { Log, LogStore } from '../../interfaces/storage.js'
import { encode } from '../../protocol/codec.js'
import { type Fields, fromDisk, optional, wordOf } from '../../protocol/fields.js'

const area = 'meta'
const formatVersion = 1
/**
 * Bytes of a slot: u32 length, u32 crc32 of the rest, the facts, zeros. The longest names and ids
 * fit.
 */
const slotBytes = 4096
const slotHeaderBytes = 8
/** The size at which a new log is begun. */
const logBytesMax: number = 512 * 1024
const stops = ['never', 'crashed', 'active', 'standby'] as const

const read = fromDisk('what this node promised')

/** The facts of a node that has never run. */
export const noFacts: DurableFacts = { promised: undefined, known: undefined, lastStop: 'never' }

/** The owner of the facts; a storage is never taken over by another node or cluster. */
export interface FactsOwner {
  readonly cluster: string
  readonly nodeId: string
}

export class FactsLog {
  readonly #logs: LogStore
  readonly #owner: FactsOwner
  #log: Log | undefined
  /** The existing logs; the last one is `#log` when that is open. */
  #names: string[]
  #facts: DurableFacts = noFacts
  #memoryAcks: boolean | undefined

  private constructor(logs: LogStore, owner: FactsOwner, names: string[]) {
    this.#logs = logs
    this.#owner = owner
    this.#names = names
  }

  /**
   * @throws `STORAGE_FORMAT` when the storage belongs to another node or cluster, or to a newer
   *   version
   * @throws `STORAGE_CORRUPT` when none of the slots can be read
   */
  static async open(logs: LogStore, owner: FactsOwner): Promise<FactsLog> {
    const names = (await logs.list(area)).map(({ name }) => name)
    const facts = new FactsLog(logs, owner, names)
    let damaged = false
    for (const name of [...names].reverse()) {
      const log = await logs.open(area, name)
      const bytes = await log.read(0, log.bytes)
      const end = lastSlot(bytes)
      if (end !== undefined) {
        await facts.#resume(log, name, bytes, end)
        return facts
      }
      await log.close()
      damaged ||= bytes.some((byte) => byte !== 0)
    }
    if (damaged)
      throw new HotspareError('STORAGE_CORRUPT', 'what this node promised cannot be read')
    return facts
  }

  /** The facts that were last written. */
  get facts(): DurableFacts {
    return this.#facts
  }

  /**
   * Whether the process that wrote these facts acknowledged changes from memory; its own policy
   * decides, not the current one. Undefined when nothing was written, and from a version that does
   * not report it.
   */
  get memoryAcks(): boolean | undefined {
    return this.#memoryAcks
  }

  async #resume(log: Log, name: string, bytes: Uint8Array, slot: number): Promise<void> {
    const fields = read.fields(read.decode(contentOf(bytes, slot) ?? bytes), 'meta')
    this.#facts = factsOf(fields, this.#owner)
    this.#memoryAcks = typeof fields.memoryAcks === 'boolean' ? fields.memoryAcks : undefined
    const end = (Math.floor(slot / 2) + 1) * 2 * slotBytes
    // A torn end, or a newer log that cannot be read, is left behind: the next write begins a new
    // log.
    const goesOn = name === this.#names.at(-1) && log.bytes >= end
    if (!goesOn) return await log.close()
    if (log.bytes > end) await log.truncate(end)
    this.#log = log
  }

  /** Resolves when the facts are durable. Calls must not overlap. */
  async write(facts: DurableFacts, memoryAcks: boolean): Promise<void> {
    const slot = encodeSlot(facts, memoryAcks, this.#owner)
    if (this.#log === undefined || this.#log.bytes >= logBytesMax) {
      await this.#begin(slot)
    } else {
      try {
        await this.#log.append([slot, slot])
      } catch (error) {
        // After a failed append the content of the log is unknown, so the next write begins a new
        // one.
        await this.close()
        throw error
      }
    }
    this.#facts = facts
    this.#memoryAcks = memoryAcks
  }

  async #begin(slot: Uint8Array): Promise<void> {
    await this.close()
    const last = Number(this.#names.at(-1) ?? 0)
    const name = String(last + 1).padStart(8, '0')
    const log = await this.#logs.open(area, name)
    try {
      // A failed attempt may have left bytes under this name, which were never acknowledged.
      if (log.bytes > 0) await log.truncate(0)
      await log.append([slot, slot])
    } catch (error) {
      await log.close().catch(() => undefined)
      throw error
    }
    this.#log = log
    const old = this.#names
    this.#names = [...old, name]
    await this.#logs.remove(area, old)
    this.#names = [name]
  }

  async close(): Promise<void> {
    const log = this.#log
    this.#log = undefined
    await log?.close()
  }
}

/** The content of a slot; undefined when it is damaged or unused. */
function contentOf(bytes: Uint8Array, slot: number): Uint8Array | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const start = slot * slotBytes
  if (start + slotBytes > view.length) return undefined
  const length = view.readUInt32LE(start)
  if (length === 0 || length > slotBytes - slotHeaderBytes) return undefined
  const content = view.subarray(start + slotHeaderBytes, start + slotHeaderBytes + length)
  return crc32(content) === view.readUInt32LE(start + 4) ? content : undefined
}

/** The number of the last good slot. */
function lastSlot(bytes: Uint8Array): number | undefined {
  for (let slot = Math.floor(bytes.length / slotBytes) - 1; slot >= 0; slot -= 1) {
    if (contentOf(bytes, slot) !== undefined) return slot
  }
  return undefined
}

function encodeSlot(
  facts: DurableFacts,
  memoryAcks: boolean,
  { cluster, nodeId }: FactsOwner,
): Uint8Array {
  const { leftEmpty, ...must } = facts
  // `members` is reserved for the replicated list of members and the position that set it.
  const all = { version: formatVersion, cluster, nodeId, ...must, memoryAcks, members: null }
  let content = encode(leftEmpty === undefined ? all : { ...all, leftEmpty })
  // Names of other nodes may be long. Without these terms others may wait for this node needlessly;
  // without the other facts it could not start.
  if (content.length > slotBytes - slotHeaderBytes) content = encode(all)
  if (content.length > slotBytes - slotHeaderBytes) {
    throw new HotspareError('INTERNAL', `the facts of ${nodeId} take ${content.length} bytes`)
  }
  const slot = Buffer.alloc(slotBytes)
  slot.writeUInt32LE(content.length, 0)
  slot.writeUInt32LE(crc32(content), 4)
  slot.set(content, slotHeaderBytes)
  return slot
}

function factsOf(fields: Fields, owner: FactsOwner): DurableFacts {
  if (fields.version !== formatVersion) {
    throw new HotspareError(
      'STORAGE_FORMAT',
      `what this node promised is stored in format ${String(fields.version)}`,
    )
  }
  const cluster = read.text(fields.cluster, 'cluster')
  const nodeId = read.text(fields.nodeId, 'nodeId')
  if (cluster !== owner.cluster || nodeId !== owner.nodeId) {
    throw new HotspareError(
      'STORAGE_FORMAT',
      `this storage belongs to node ${nodeId} of cluster ${cluster}, not to ${owner.nodeId} of ${owner.cluster}`,
      { whatToDo: 'Correct id, cluster or the directory.' },
    )
  }
  const lastStop = wordOf(fields.lastStop, stops)
  if (lastStop === undefined)
    throw new HotspareError('STORAGE_FORMAT', 'meta holds an unknown lastStop')
  const leftEmpty = optional(fields.leftEmpty, leftEmptyOf)
  return {
    promised: optional(fields.promised, (term) => read.term(term, 'promised')),
    known: optional(fields.known, knownOf),
    lastStop,
    ...(leftEmpty === undefined ? {} : { leftEmpty }),
  }
}

function leftEmptyOf(value: unknown): Term[] {
  return read.list(value, 'leftEmpty', leftEmptyMax).map((term) => read.term(term, 'leftEmpty'))
}

function knownOf(value: unknown): NonNullable<DurableFacts['known']> {
  const fields = read.fields(value, 'known')
  return {
    term: read.term(fields.term, 'known.term'),
    seq: read.count(fields.seq, 'known.seq'),
  }
}
