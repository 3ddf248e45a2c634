/**
 * The way of a write into a node: to the writer while this node is active, to the next active
 * during a planned switchover, or back to its caller.
 *
 * Invariant: a write reaches the writer only through `submit`, which is the one place that decides
 * between writing, holding and refusing.
 */

import type { WriteIntent } from '../../changes/intent.js'
import { blobsOf } from '../../changes/intent.js'
import type { LocalCopy } from '../../copy/local-copy.js'
import { HotspareError } from '../../errors.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import { removeQuietly } from '../../replication/content/blob-spool.js'
import { checkWriteOptions } from '../../replication/write/options.js'
import type { Receipt, WriteOptions } from '../../replication/write/types.js'
import { writerLimits } from '../../replication/write/types.js'
import type { WriteGate } from '../../replication/write/write-gate.js'
import type { Writer } from '../../replication/write/writer.js'
import type { NodeOptions } from '../contract/options.js'
import type { Replica } from '../data/replica.js'
import type { Links } from '../peers/links.js'
import { activeOf } from '../report/status.js'
import type { Driver } from '../roles/driver.js'
import { ForwardedWrites } from './forwarded.js'
import { Forwarding } from './forwarding.js'
import type { TransactionSource } from './transaction.js'

/** The parts of a running node that a write may need. */
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
  /** @throws `NOT_STARTED`, `STOPPED` */
  running(): WriteParts
}

type Abort = (error: HotspareError) => void

export class WritePath implements TransactionSource {
  /** Writes of this node that go to the next active. */
  readonly forwarding: Forwarding
  /** Writes that former actives send here. */
  readonly forwarded: ForwardedWrites
  /** Why nothing is written here any more. */
  #ended: HotspareError | undefined
  readonly #context: WritePathContext
  readonly #transactions = new Set<Abort>()

  constructor(context: WritePathContext) {
    this.#context = context
    const { options, bootId } = context
    const common = {
      send: (to: string, type: string, body: unknown) =>
        context.parts()?.links.send(to, type, body) ?? false,
      submit: (intent: WriteIntent, writeOptions: WriteOptions) =>
        this.submit(intent, writeOptions),
    }
    this.forwarding = new Forwarding({
      ...common,
      clock: options.clock,
      bootId,
      holdMs: options.switchoverMs,
      bytesMax: Math.floor(options.frameBytesMax / 2),
      hasRoom: (to) => context.parts()?.links.hasRoom(to) ?? false,
      discard: (intent) => this.#discard(intent),
    })
    this.forwarded = new ForwardedWrites(common)
  }

  get policy(): SyncPolicy {
    return this.#context.options.policy
  }

  /** @throws `NOT_STARTED`, `STOPPED` */
  copy(): LocalCopy {
    return this.#context.running().replica.copy
  }

  /**
   * Whether every acknowledged change is in the copy: only on a node that may act as active now.
   */
  isCurrent(): boolean {
    return this.#context.parts()?.driver.tenure.mayAct() ?? false
  }

  /**
   * A node without data that gets its first copy cannot say of any file that there is none.
   * @throws `RESTORE_UNDER_WAY`
   */
  checkReadable(): void {
    const { replica, driver } = this.#context.running()
    if (driver.role !== 'restoring' || replica.copy.seq > 0) return
    const what = `${this.#context.options.id} has no copy yet: its first restore is under way`
    throw new HotspareError('RESTORE_UNDER_WAY', what)
  }

  /** Where files and transactions write. */
  readonly gate: WriteGate = {
    inlineBytesMax: writerLimits.inlineBytesMax,
    submit: (intent, options) => this.submit(intent, options),
    room: (bytes, again) => this.#context.parts()?.replica.writer?.room(bytes, again),
    store: async (source, options) => {
      try {
        return await this.writer.store(source, options)
      } catch (error) {
        // After the end the storage is closed, and the spool fails with some error of it: why the
        // node ended says more.
        throw this.#ended ?? error
      }
    },
    readBlob: async (blob, offset, length) =>
      await this.#context.running().storage.objects.read('blobs', blob.id, offset, length),
    discard: async (blobs) => {
      const parts = this.#context.parts()
      // The next start removes what no entry names.
      if (parts === undefined) return
      const { replica, storage } = parts
      // Followers drop what they got of a tenure by themselves when it is over.
      if (replica.writer !== undefined) return await replica.writer.discard(blobs)
      const names = blobs.map(({ id }) => id)
      await removeQuietly(storage.objects, names)
    },
  }

  #discard(intent: WriteIntent): void {
    const blobs = blobsOf(intent)
    if (blobs.length > 0) void this.gate.discard(blobs)
  }

  /** The writer. @throws `NOT_ACTIVE` naming the active */
  get writer(): Writer {
    const { replica, driver } = this.#context.running()
    if (replica.writer === undefined || driver.role !== 'active') throw this.notActive()
    return replica.writer
  }

  /**
   * An update, as the application gives it. @throws `OPTION_INVALID`, and all that
   * {@link WritePath.submit} throws
   */
  update(className: string, value: unknown, options?: WriteOptions): Promise<Receipt> {
    try {
      checkWriteOptions(options)
    } catch (error) {
      return Promise.reject(error)
    }
    return this.submit({ kind: 'update', className, value }, options)
  }

  /** Writes, holds or refuses. @throws `NOT_ACTIVE`, and all that {@link Writer.submit} throws */
  submit(intent: WriteIntent, options?: WriteOptions): Promise<Receipt> {
    const parts = this.#context.parts()
    const writer = parts?.replica.writer
    if (writer !== undefined && parts?.driver.role === 'active')
      return writer.submit(intent, options)
    if (this.forwarding.holding) return this.forwarding.add(intent, options ?? {})
    this.#discard(intent)
    try {
      this.#context.running()
    } catch (error) {
      return Promise.reject(error)
    }
    return Promise.reject(this.notActive())
  }

  /** Why nothing is written here, with the active where it is known. */
  notActive(): HotspareError {
    if (this.#ended !== undefined) return this.#ended
    const { options } = this.#context
    const { id } = options
    const { role = 'stopped', state } = this.#context.parts()?.driver ?? {}
    const named = activeOf({ options, role, state })
    // Nobody is sent back to a node that is not active.
    const active = named === id && role !== 'active' ? undefined : named
    const where = active === undefined ? 'none is known' : `${active} is`
    const what = `${id} is ${role}, not active; ${where}`
    return new HotspareError(
      'NOT_ACTIVE',
      what,
      active === undefined ? {} : { details: { active } },
    )
  }

  /** Transactions that are open; `abort` ends one early. */
  onTransaction(abort: Abort): () => void {
    this.#transactions.add(abort)
    return () => this.#transactions.delete(abort)
  }

  #abort(transactions: readonly Abort[], error: HotspareError): void {
    for (const abort of transactions) if (this.#transactions.has(abort)) abort(error)
  }

  /** The role goes to another node as planned: writes without a place go there, too. */
  handOver(error: HotspareError): void {
    const open = [...this.#transactions]
    this.forwarding.hold(this.#context.parts()?.replica.writer?.takeHeld() ?? [], error)
    const { clock, switchoverMs } = this.#context.options
    clock.setTimer(switchoverMs, () => this.#abort(open, error))
  }

  /** The role is lost: what is under way cannot be committed here. */
  abortTransactions(error: HotspareError): void {
    this.#abort([...this.#transactions], error)
  }

  /** The node stops. */
  end(error: HotspareError): void {
    this.#ended = error
    this.forwarding.release(error)
    this.forwarding.lost(undefined)
    this.abortTransactions(error)
  }
}
