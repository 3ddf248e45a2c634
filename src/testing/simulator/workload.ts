/** An application that writes on every node that is active, and now and then on one that is not. */
import { HotspareError } from '../../errors.js'
import type { Transaction } from '../../node/writes/transaction.js'
import type { AckLevel, Durability } from '../../policy/class-options.js'
import type { Receipt } from '../../replication/write/types.js'
import { overwritten } from './machine/lent-bytes.js'
import type { Process } from './machine/machine.js'
import type { SeededRandom } from './machine/seeded-random.js'
import type { WriteAction, WriteRecord } from './record/writes.js'
import { outcomeOf } from './record/writes.js'
import type { World } from './world.js'

/** How much the workload writes. */
export interface WorkloadOptions {
  /** Mean milliseconds between two writes. Default 150. */
  readonly everyMs?: number
  /** Share of writes with contents that are too long to be inline. Default 0.01. */
  readonly largeShare?: number
  /** Share of writes of some MB, so that a restore needs many stretches. Default 0. */
  readonly bulkyShare?: number
  /** Paths that are written to. Default 12. */
  readonly paths?: number
}

const largeBytes = 150 * 1024
/** Contents of this size are still inline, and fill a channel quickly. */
const mediumBytes = 16 * 1024
/**
 * Paths whose files are only ever replaced as a whole, so that a read must return one of the
 * written contents.
 */
const wholePaths = ['data/whole1', 'data/whole2', 'data/deep/folder/whole3'] as const
/** Share of the bursts that include reads. */
const readShare = 0.3
const bulkyBytes = 1024 * 1024
const levels: readonly AckLevel[] = ['standby', 'standby', 'standby', 'standby', 'all', 'local']
const names = ['red', 'green', 'blue']

/** Makes writes until it is paused, and records them in the world. */
export class Workload {
  readonly #world: World
  readonly #random: SeededRandom
  readonly #options: Required<WorkloadOptions>
  readonly #mediumShare: number
  #running = false

  constructor(world: World, options: WorkloadOptions = {}) {
    this.#world = world
    this.#random = world.random.fork()
    this.#options = { everyMs: 150, largeShare: 0.01, bulkyShare: 0, paths: 12, ...options }
    this.#mediumShare = this.#random.chance(0.1) ? 0.4 : 0.01
  }

  resume(): void {
    if (this.#running) return
    this.#running = true
    this.#next()
  }

  pause(): void {
    this.#running = false
  }

  #next(): void {
    this.#world.later(this.#random.number() * 2 * this.#options.everyMs, () => {
      if (!this.#running) return
      this.#burst()
      this.#next()
    })
  }

  #burst(): void {
    const count = this.#random.chance(0.1) ? this.#random.between(2, 8) : 1
    const machines = [...this.#world.machines.values()]
    for (const { running } of machines) {
      if (running === undefined || running.started === 'starting') continue
      const active = running.node.role === 'active'
      if (!active && !this.#random.chance(0.02)) continue
      for (let at = 0; at < count; at += 1) this.write(running, this.#action())
    }
    if (!this.#random.chance(readShare)) return
    for (const { running } of machines) {
      if (running?.started === 'started') this.#read(running, this.#random.pick(wholePaths))
    }
  }

  /** Reads a file, whatever the role of the node. */
  #read(process: Process, path: string): void {
    const { nowMs: begunMs } = this.#world
    const { role } = process.node
    const told = (bytes: Uint8Array | undefined): void => {
      if (!process.alive) return
      this.#world.timeline.count('read')
      const read = { process, path, begunMs, role, bytes }
      this.#world.tell((checker) => checker.read?.(read))
    }
    process.node.files.read(path).then(told, (error: unknown) => {
      if ((error as { code?: string }).code === 'FILE_NOT_FOUND') told(undefined)
    })
  }

  /** Makes one write. */
  write(
    process: Process,
    action: WriteAction,
    options: { readonly ack?: AckLevel; readonly durability?: Durability } = {},
  ): WriteRecord {
    const { writes, nowMs } = this.#world
    const write: WriteRecord = {
      id: writes.length + 1,
      process,
      action: named(action, writes.length + 1),
      ack: options.ack ?? this.#random.pick(levels),
      durability: options.durability ?? (this.#random.chance(0.2) ? 'memory' : 'disk'),
      submittedMs: nowMs,
      settledMs: undefined,
      outcome: { kind: 'open' },
    }
    writes.push(write)
    this.#world.openWrites += 1
    const settle = (outcome: WriteRecord['outcome']): void => {
      if (!process.alive) return
      this.#world.openWrites -= 1
      write.settledMs = this.#world.nowMs
      write.outcome = outcome
      this.#note(write)
      this.#world.settled(write, process)
    }
    perform(process, write).then(
      (receipt) => settle({ kind: 'acknowledged', receipt }),
      (error: unknown) => settle(outcomeOf(error)),
    )
    return write
  }

  #note({ id, process, action, ack, outcome }: WriteRecord): void {
    const what = `${action.kind} ${ack}`
    const detail =
      outcome.kind === 'acknowledged'
        ? `${outcome.receipt.position.term.epoch}/${outcome.receipt.position.seq} ${outcome.receipt.ack}`
        : `${outcome.kind} ${'code' in outcome ? outcome.code : ''}`
    this.#world.timeline.add(this.#world.nowMs, process.id, `write ${id} ${what}`, detail)
    if (outcome.kind !== 'acknowledged') return
    this.#world.timeline.count(action.kind)
    if ('reads' in action) this.#world.timeline.count('transaction that reads')
    if ('mode' in action) this.#world.timeline.count('put with a mode')
    if (action.kind !== 'put' || action.bytes.length <= largeBytes) return
    this.#world.timeline.count(action.bytes.length > bulkyBytes ? 'bulky' : 'blob')
  }

  #action(): WriteAction {
    const random = this.#random
    if (random.chance(0.12)) return this.#wholeAction()
    const path = this.#path()
    const roll = random.number()
    if (roll < 0.3) return { kind: 'put', path, bytes: this.#content(), ...this.#mode() }
    if (roll < 0.5) return { kind: 'append', path, bytes: random.bytes(random.between(1, 40)) }
    if (roll < 0.6) {
      return {
        kind: 'patch',
        path,
        offset: random.below(300),
        bytes: random.bytes(random.between(1, 60)),
      }
    }
    if (roll < 0.65) return { kind: 'truncate', path, size: random.below(400) }
    if (roll < 0.72) return { kind: 'remove', path }
    if (roll < 0.92) return { kind: 'update', name: random.pick(names), fails: random.chance(0.03) }
    const puts = [path, this.#path()].map((each) => ({ path: each, bytes: random.bytes(20) }))
    return {
      kind: 'transaction',
      puts: puts[0]?.path === puts[1]?.path ? puts.slice(1) : puts,
      name: random.pick(names),
      ...(random.chance(0.4) ? { reads: this.#path() } : {}),
    }
  }

  /** An action that replaces or removes one of the files that are read. */
  #wholeAction(): WriteAction {
    const random = this.#random
    const path = random.pick(wholePaths)
    if (random.chance(0.1)) return { kind: 'remove', path }
    if (random.chance(0.7)) return { kind: 'put', path, bytes: this.#content() }
    const puts = wholePaths.map((each) => ({ path: each, bytes: random.bytes(20) }))
    return { kind: 'transaction', puts, name: random.pick(names) }
  }

  #mode(): { readonly mode?: number } {
    return this.#random.chance(0.2) ? { mode: this.#random.pick([0o600, 0o640, 0o755]) } : {}
  }

  #path(): string {
    const folder = this.#random.chance(0.15) ? 'quick' : 'data'
    const name = `f${this.#random.below(this.#options.paths)}`
    const roll = this.#random.number()
    if (roll < 0.1) return `${folder}/deep/er/${name}`
    // Sometimes the name is that of a folder, to conflict with a file of the same name.
    return roll < 0.12 ? `${folder}/${name}/in` : `${folder}/${name}`
  }

  #content(): Uint8Array {
    const random = this.#random
    const { largeShare, bulkyShare } = this.#options
    if (bulkyShare > 0 && random.chance(bulkyShare)) return this.#filled(bulkyBytes)
    if (random.chance(this.#mediumShare)) return this.#filled(random.between(1, 3) * mediumBytes)
    if (!random.chance(largeShare)) return random.bytes(random.between(8, 400))
    return this.#filled(largeBytes)
  }

  /** Bytes of a random length from `least` to twice that. */
  #filled(least: number): Uint8Array {
    const random = this.#random
    const bytes = new Uint8Array(least + random.below(least))
    bytes.set(random.bytes(64))
    return bytes.fill(random.below(256), 64)
  }
}

/** Labels the contents of an action with the number of its write, so that no two are equal. */
function named(action: WriteAction, id: number): WriteAction {
  if (action.kind === 'put') return { ...action, bytes: labelled(action.bytes, id) }
  if (action.kind !== 'transaction') return action
  return {
    ...action,
    puts: action.puts.map(({ path, bytes }) => ({ path, bytes: labelled(bytes, id) })),
  }
}

function labelled(content: Uint8Array, id: number): Uint8Array {
  const label = new TextEncoder().encode(`#${id};`)
  const bytes = new Uint8Array(label.length + content.length)
  bytes.set(label)
  bytes.set(content, label.length)
  return bytes
}

/** Calls with bytes that are overwritten as soon as the call returns, as an application may do. */
function lending<T>(bytes: Uint8Array, call: (lent: Uint8Array) => T): T {
  const lent = new Uint8Array(bytes)
  const answer = call(lent)
  overwritten(lent)
  return answer
}

function perform(
  { node }: Process,
  { id, action, ack, durability }: WriteRecord,
): Promise<Receipt> {
  const options = { ack, durability }
  switch (action.kind) {
    case 'put':
      return lending(action.bytes, (bytes) =>
        node.files.write(action.path, bytes, {
          ...options,
          ...(action.mode === undefined ? {} : { mode: action.mode }),
        }),
      )
    case 'append':
      return lending(action.bytes, (bytes) => node.files.append(action.path, bytes, options))
    case 'patch':
      return lending(action.bytes, (bytes) =>
        node.files.patch(action.path, action.offset, bytes, options),
      )
    case 'truncate':
      return node.files.truncate(action.path, action.size, options)
    case 'remove':
      return node.files.remove(action.path, options)
    case 'update':
      return node.update('register', { id, name: action.name, fails: action.fails }, options)
    case 'transaction':
      return node
        .transaction(async (transaction) => {
          if (action.reads !== undefined) await read(transaction, action.reads)
          for (const { path, bytes } of action.puts) {
            await lending(bytes, (lent) => transaction.files.write(path, lent))
          }
          transaction.update('register', { id, name: action.name })
        }, options)
        .then(({ receipt }) => receipt)
  }
}

/** Reads a path in a transaction; a missing file counts as a read, too. */
async function read(transaction: Transaction, path: string): Promise<void> {
  try {
    await transaction.files.read(path)
  } catch (error) {
    if (!HotspareError.is(error, 'FILE_NOT_FOUND')) throw error
  }
}
