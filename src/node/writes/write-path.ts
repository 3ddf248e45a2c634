/**
 * The path of a node's writes and the writes in flight: to the writer while this node is active, to
 * the next active during a planned switchover, or back to their callers.
 */

import type { WriteIntent } from '../../changes/intent.js'
import { blobsOf } from '../../changes/intent.js'
import type { LocalCopy } from '../../copy/local-copy.js'
import { HotspareError } from '../../errors.js'
import type { TimerHandle } from '../../interfaces/clock.js'
import type { ObjectStore } from '../../interfaces/object-store.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import { checkWriteOptions } from '../../replication/write/options.js'
import type { Receipt, WriteOptions } from '../../replication/write/types.js'
import type { Writer } from '../../replication/write/writer.js'
import type { NodeOptions } from '../contract/options.js'
import type { Replica } from '../data/replica.js'
import type { Links } from '../peers/links.js'
import { activeOf } from '../report/status.js'
import type { Driver } from '../roles/driver.js'
import { ForwardedWrites } from './forwarded.js'
import { Forwarding } from './forwarding.js'
import type { TransactionSource } from './transaction.js'
import { type GateSource, WriteGate } from './write-gate.js'

/** The parts of a running node that writes use. */
export interface WriteParts {
  readonly storage: OpenStorage
  readonly replica: Replica
  readonly links: Links
  readonly driver: Driver
}

export interface WritePathContext {
  readonly options: NodeOptions
  readonly bootId: string
  /** Undefined while the node does not run. */
  parts(): WriteParts | undefined
  /** Why the node does not run. */
  notRunning(): HotspareError
}

type Abort = (error: HotspareError) => void

export class WritePath implements TransactionSource, GateSource {
  /** The gate of files, transactions and updates. */
  readonly gate: WriteGate = new WriteGate(this)
  /** Writes of this node for the next active. */
  readonly forwarding: Forwarding
  /** Writes that former actives forward to this node. */
  readonly forwarded: ForwardedWrites
  /** Why writes have ended here. */
  #ended: HotspareError | undefined
  readonly #context: WritePathContext
  readonly #transactions = new Set<Abort>()
  /** The deadlines of transactions that were open at a handover. */
  readonly #deadlines = new Set<TimerHandle>()

  constructor(context: WritePathContext) {
    this.#context = context
    const { options, bootId } = context
    const common = {
      send: (to: string, type: string, body: unknown) =>
        context.parts()?.links.send(to, type, body) ?? false,
      submit: (intent: WriteIntent, writeOptions: WriteOptions) =>
        this.gate.submit(intent, writeOptions),
    }
    this.forwarding = new Forwarding({
      ...common,
      clock: options.clock,
      bootId,
      holdMs: options.switchoverMs,
      bytesMax: Math.floor(options.frameBytesMax / 2),
      hasRoom: (to) => context.parts()?.links.hasRoom(to) ?? false,
      discard: (intent) => void this.gate.discard(blobsOf(intent)),
    })
    this.forwarded = new ForwardedWrites(common)
  }

  #running(): WriteParts {
    const parts = this.#context.parts()
    if (parts === undefined) throw this.#context.notRunning()
    return parts
  }

  get policy(): SyncPolicy {
    return this.#context.options.policy
  }

  /** @throws `NOT_STARTED`, `STOPPED` */
  copy(): LocalCopy {
    return this.#running().replica.copy
  }

  /**
   * Whether the copy has every acknowledged change, which holds only on a node that may act as
   * active now.
   */
  isCurrent(): boolean {
    return this.#context.parts()?.driver.tenure.mayAct() ?? false
  }

  /**
   * Refuses reads on a node that is getting its first copy, because it cannot tell which files
   * exist.
   *
   * @throws `RESTORE_UNDER_WAY`
   */
  checkReadable(): void {
    const { replica, driver } = this.#running()
    if (driver.role !== 'restoring' || replica.copy.seq > 0) return
    const what = `${this.#context.options.id} has no copy yet: its first restore is under way`
    throw new HotspareError('RESTORE_UNDER_WAY', what)
  }

  get writer(): Writer | undefined {
    const parts = this.#context.parts()
    return parts?.driver.role === 'active' ? parts.replica.writer : undefined
  }

  get objects(): ObjectStore | undefined {
    return this.#context.parts()?.storage.objects
  }

  get ended(): HotspareError | undefined {
    return this.#ended
  }

  hold(intent: WriteIntent, options: WriteOptions): Promise<Receipt> | undefined {
    return this.forwarding.holding ? this.forwarding.add(intent, options) : undefined
  }

  refusal(): HotspareError {
    const isRunning = this.#context.parts() !== undefined
    return isRunning ? this.notActive() : this.#context.notRunning()
  }

  /**
   * Submits an update of the application.
   *
   * @throws `OPTION_INVALID`, and all errors of {@link WriteGate.submit}
   */
  update(className: string, value: unknown, options?: WriteOptions): Promise<Receipt> {
    try {
      checkWriteOptions(options)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.gate.submit({ kind: 'update', className, value }, options)
  }

  /** The error for a write on a node that is not active, naming the active if it is known. */
  notActive(): HotspareError {
    if (this.#ended !== undefined) return this.#ended
    const { options } = this.#context
    const { id } = options
    const { role = 'stopped', state } = this.#context.parts()?.driver ?? {}
    const named = activeOf({ options, role, state })
    // A caller is never directed to a node that is not active.
    const active = named === id && role !== 'active' ? undefined : named
    const where = active === undefined ? 'none is known' : `${active} is`
    const what = `${id} is ${role}, not active; ${where}`
    return new HotspareError(
      'NOT_ACTIVE',
      what,
      active === undefined ? {} : { details: { active } },
    )
  }

  /** Registers an open transaction; `abort` ends it early. */
  onTransaction(abort: Abort): () => void {
    this.#transactions.add(abort)
    return () => this.#transactions.delete(abort)
  }

  #abort(transactions: readonly Abort[], error: HotspareError): void {
    for (const abort of transactions) if (this.#transactions.has(abort)) abort(error)
  }

  /** The role is being handed over, so writes without a position go to the next active. */
  handOver(error: HotspareError): void {
    const open = [...this.#transactions]
    this.forwarding.hold(this.#context.parts()?.replica.writer?.takeHeld() ?? [], error)
    if (open.length === 0 || this.#ended !== undefined) return
    const { clock, switchoverMs } = this.#context.options
    const timer = clock.setTimer(switchoverMs, () => {
      this.#deadlines.delete(timer)
      this.#abort(open, error)
    })
    this.#deadlines.add(timer)
  }

  /** The role is lost, so open transactions cannot be committed here. */
  abortTransactions(error: HotspareError): void {
    this.#abort([...this.#transactions], error)
  }

  /** The node stops. */
  end(error: HotspareError): void {
    this.#ended = error
    for (const timer of this.#deadlines) this.#context.options.clock.clearTimer(timer)
    this.#deadlines.clear()
    this.forwarding.release(error)
    this.forwarding.lost(undefined)
    this.abortTransactions(error)
  }
}
