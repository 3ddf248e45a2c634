/** The public class of the library: one node of a cluster. */

import type { VaultIncident } from './copy/vault/incident.js'
import type { Role } from './core/state/facts.js'
import type { Decision } from './core/state/types.js'
import { HotspareError } from './errors.js'
import type { NodeEvents } from './node/contract/events.js'
import type { Classes, ClusterNodeOptions, NodeOptions } from './node/contract/options.js'
import { resolveOptions } from './node/contract/resolve-options.js'
import type { StartOptions } from './node/contract/start-options.js'
import type { NodeStatus } from './node/report/status.js'
import type { Tenure } from './node/roles/tenure.js'
import { Runtime } from './node/runtime.js'
import type { FilesApi } from './node/writes/files.js'
import type {
  Transaction,
  TransactionOptions,
  TransactionResult,
} from './node/writes/transaction.js'
import { runTransaction } from './node/writes/transaction.js'
import type { AnyAppStateClass, AppStateClass } from './policy/kinds/app-state.js'
import type { Receipt, WriteOptions } from './replication/write/types.js'
import { withAny } from './util/abort.js'
import { requireKnown } from './util/option-names.js'

/** The names of a policy's classes of application state. */
export type StateNames<C extends Classes> = {
  [Name in keyof C]: C[Name] extends AnyAppStateClass ? Name : never
}[keyof C] &
  string

/** The type of the changes of a class, as its `apply` takes them. */
export type ChangeOf<C extends Classes, Name extends keyof C> =
  C[Name] extends AppStateClass<infer Change, infer _Result> ? Change : never

/** Read access to the vault of this node. */
export interface VaultApi {
  /**
   * All incidents, oldest first.
   * @throws `NOT_STARTED`, `STOPPED`, `STORAGE_FAILED`
   */
  list(): Promise<readonly VaultIncident[]>
  /**
   * Reads bytes of an object that an incident names; fewer than requested only at its end.
   * @param object - the `object` of a file, a state or the journal of an incident
   * @param options - `offset`: the first byte, default 0; `length`: bytes at most, default 1 MiB
   * @throws `FILE_NOT_FOUND` when the vault holds no such object; `NOT_STARTED`, `STOPPED`,
   *   `STORAGE_FAILED`
   */
  read(object: string, options?: { offset?: number; length?: number }): Promise<Uint8Array>
  /**
   * Removes an incident that needs no more attention, and frees its space. Its content is lost for
   * good. This version cannot decode the states and the journal of an incident, so keep incidents
   * of application state that matters.
   * @throws `NOT_STARTED`, `STOPPED`, `STORAGE_FAILED`
   */
  remove(incident: VaultIncident): Promise<void>
}

/** Default `length` of `vault.read`; longer reads take several calls or a larger `length`. */
const vaultReadBytes = 1024 * 1024

const runtimes = new WeakMap<object, Runtime>()

/** The runtime of a node, for the simulator of this package; not part of the public API. */
export function runtimeOf(node: object): Runtime {
  const runtime = runtimes.get(node)
  if (runtime === undefined) throw new TypeError('not a node')
  return runtime
}

/**
 * One node of a cluster. One node is active; the others keep copies and can take over.
 *
 * @example
 * ```ts
 * const options = { members, transport, storage, policy, secret }
 * const node = new ClusterNode({ cluster: 'voice', id: 'alpha', ...options })
 * await node.start()
 * await node.whileActive(async (tenure) => {
 *   await node.files.write('messages/1.txt', 'hello', { signal: tenure.signal })
 * })
 * ```
 */
export class ClusterNode<C extends Classes = Classes> {
  readonly #options: NodeOptions<C>
  readonly #runtime: Runtime
  /** The synced files. Reads work on every node that has a complete copy, writes on the active. */
  readonly files: FilesApi
  /** The vault of this node: data that a divergence or a restore removed. */
  readonly vault: VaultApi

  /**
   * @throws `OPTION_INVALID` naming the option; nothing is opened before {@link ClusterNode.start}
   */
  constructor(options: ClusterNodeOptions<C>) {
    this.#options = resolveOptions(options)
    this.#runtime = new Runtime(this.#options as unknown as NodeOptions)
    this.files = this.#runtime.files
    const runtime = this.#runtime
    runtimes.set(this, runtime)
    this.vault = {
      list: async () => await runtime.vault.list(),
      read: async (object, options = {}) => {
        requireKnown('vault.read()', options, ['offset', 'length'])
        const { offset = 0, length = vaultReadBytes } = options
        return await runtime.vault.read(object, offset, length)
      },
      remove: async (incident) => {
        if (typeof incident?.id !== 'string') {
          const what = 'vault.remove() takes an incident from vault.list()'
          throw new HotspareError('OPTION_INVALID', what, { details: { option: 'incident' } })
        }
        await runtime.vault.remove(incident)
      },
    }
  }

  /** This node's id. */
  get id(): string {
    return this.#options.id
  }

  /** The role of this node; `stopped` before `start()` and after `stop()`. */
  get role(): Role {
    return this.#runtime.role
  }

  /** The tenure while this node is active; else undefined. */
  get tenure(): Tenure | undefined {
    return this.#runtime.tenures.current
  }

  /** The address at which peers reach this node; undefined before the start. */
  get address(): string | undefined {
    return this.#runtime.address
  }

  /**
   * Opens storage and transport and joins the cluster. Resolves when this node is standby or active
   * for the first time. Until then `status()` and the events report its progress: `waiting` names
   * the members whose answer it awaits for up to `startupWaitMs`, `holding` those without which it
   * does not proceed.
   *
   * @throws `ADOPT_REQUIRED` when there are files in paths of synced classes and no history,
   *   without `adopt`
   * @throws `STORAGE_LOCKED`, `STORAGE_FORMAT`, `STORAGE_CORRUPT`, `STORAGE_FULL`,
   *   `STORAGE_READ_ONLY`, `STORAGE_FAILED`
   * @throws `ADDRESS_IN_USE`; `OPTION_INVALID` for an address that this machine cannot listen on,
   *   an unknown option, or `join` together with `adopt` or without another member
   * @throws `ALREADY_STARTED`; `STOPPED` when the node was stopped meanwhile
   * @throws `ABORTED` when `signal` aborted; the node is stopped then
   */
  async start(options: StartOptions = {}): Promise<void> {
    requireKnown('start()', options, ['adopt', 'join', 'signal'])
    await this.#runtime.start(options)
  }

  /**
   * Leaves the cluster. An active node first hands the role over, if a standby is in sync.
   * Idempotent.
   * @param options - `signal`: aborts the handover; the node stops all the same
   * @throws `OPTION_INVALID` for an unknown option
   */
  async stop(options: { signal?: AbortSignal } = {}): Promise<void> {
    requireKnown('stop()', options, ['signal'])
    await this.#runtime.stop(options.signal)
  }

  /** Stops the node at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
  }

  /**
   * Changes application state on all nodes. Only on the active node.
   *
   * The change is plain data: null, booleans, numbers, strings, bytes, valid `Date`s, bigints of 64
   * bits, `undefined`, and arrays and plain objects of these, at most 100 levels deep. The `apply`
   * of every node gets it as it was journaled: bytes as a `Buffer`, `-0` as `0`, holes of an array
   * as `undefined`, and of an object its own enumerable properties with string keys. All other
   * values are refused. The caller must not modify the change before the call has resolved.
   *
   * @returns the receipt with the acknowledgement that the write reached and the result of `apply`:
   *   a copy if that is plain data, else the value itself
   * @throws `NOT_ACTIVE` with the active in `details.active`
   * @throws `VALUE_INVALID` for a change that is not plain data, with the place of the offending
   *   part
   * @throws `CLASS_UNKNOWN`, `CLASS_KIND`, `QUEUE_FULL`, `WRITE_TOO_LARGE`, `OPTION_INVALID`,
   *   `NOT_STARTED`, `STOPPED`
   * @throws `ABORTED`, `WRITES_BLOCKED` when the signal aborted; unless `retryable` is true the
   *   write has happened
   * @throws `OUTCOME_UNKNOWN` when the role was lost before the write was acknowledged
   * @throws the error that `apply` threw, which is a replicated result like any other and undoes
   *   nothing
   */
  update<Name extends StateNames<C>>(
    className: Name,
    change: ChangeOf<C, Name>,
    options?: WriteOptions,
  ): Promise<Receipt> {
    return this.#runtime.writes.update(className, change, options)
  }

  /**
   * Combines several writes in one change: all or nothing, at one position, on every node. Nothing
   * is written before `work` has resolved; reads inside see the applied data and the transaction's
   * own writes. The guarantee covers the commit only: an `apply` that throws then undoes neither
   * its own partial effects nor the other changes.
   *
   * @throws the error that `work` threw; nothing was written then
   * @throws `TX_CONFLICT` when data that was read has changed meanwhile; run the transaction again
   * @throws `TX_CLOSED` from calls made after `work` has resolved
   * @throws `PATH_INVALID`, `PATH_UNCLAIMED`, `PATH_NEVER_SYNCED`, `PATH_CONFLICT`, `PATH_BLOCKED`,
   *   `FILE_NOT_FOUND` for its files
   * @throws `CLASS_UNKNOWN`, `CLASS_KIND`, `VALUE_INVALID` for its updates
   * @throws `WRITE_TOO_LARGE`, `QUEUE_FULL`, `STORAGE_FULL`, `STORAGE_FAILED`, `OPTION_INVALID`;
   *   nothing has happened then
   * @throws `NOT_ACTIVE` with the active in `details.active`, also when a switchover or the loss of
   *   the role ends it; `NOT_STARTED`, `STOPPED`
   * @throws `ABORTED`, `WRITES_BLOCKED` when the signal aborted; unless `retryable` is true the
   *   transaction has happened
   * @throws `OUTCOME_UNKNOWN` when the role was lost before the commit was acknowledged
   * @throws the error of the first `apply` that threw; the transaction has happened, and the
   *   results of the others are not returned
   */
  async transaction<Result>(
    work: (transaction: Transaction) => Promise<Result> | Result,
    options: TransactionOptions = {},
  ): Promise<TransactionResult<Result>> {
    return await runTransaction(this.#runtime.writes, work, options)
  }

  /**
   * Calls `serve` each time this node becomes active, with a tenure whose signal aborts when the
   * role is lost. Resolves when the node stops or `signal` aborts, but not before `serve` has
   * ended, which it should do when the tenure ends.
   *
   * When `serve` throws while this node is active, the call rejects with that error, and `serve` is
   * not called again. The node **stays active** although nothing serves: stop it, so that another
   * node takes over. Errors of `serve` after the role was lost are ignored.
   *
   * @throws the error that `serve` threw while this node was active; `OPTION_INVALID` for an
   *   unknown option
   * @example
   * ```ts
   * await node.whileActive(async (tenure) => await tenure.ended).catch(async (error) => {
   *   await node.stop()
   *   throw error
   * })
   * ```
   */
  async whileActive(
    serve: (tenure: Tenure) => Promise<void> | void,
    options: { signal?: AbortSignal } = {},
  ): Promise<void> {
    requireKnown('whileActive()', options, ['signal'])
    const { stopped, tenures } = this.#runtime
    await withAny([stopped, options.signal], (signal) => tenures.run(serve, signal))
  }

  /**
   * Hands the role over to a standby that is in sync. Only on the active node. Writes made
   * meanwhile wait and are forwarded to the new active; large content and transactions under way
   * can end with `NOT_ACTIVE`, and have not happened then.
   *
   * @param options - `to`: the member; default the first in takeover order that is eligible
   * @throws `NOT_ACTIVE` with the active in `details.active`, `NO_ELIGIBLE_STANDBY` or, when `to`
   *   is no other member, `OPTION_INVALID`, with the role unchanged; `SWITCHOVER_FAILED`,
   *   `SWITCHOVER_UNDER_WAY`
   * @throws `ABORTED` when `signal` aborted. If it had before the call, nothing has happened; a
   *   switchover under way continues
   */
  async switchover(options: { to?: string; signal?: AbortSignal } = {}): Promise<void> {
    requireKnown('switchover()', options, ['to', 'signal'])
    await this.#runtime.command({ name: 'switchover', to: options.to }, options.signal)
  }

  /**
   * Takes over without waiting for these members: the operator's decision while the node reports
   * `holding`. It also ends the caution of `start({ join: true })`. Changes that only those members
   * have are lost, or move to their vault when they return. The call resolves when the order is
   * accepted, not when the node is active. It has no effect on the active, and on a node that may
   * not be promoted: an observer, a damaged copy, a full disk. No order ends `holding` with "no
   * member in reach may be promoted".
   *
   * @throws `OPTION_INVALID` when one of them is not another member; `SWITCHOVER_FAILED` on a node
   *   that receives heartbeats of the active
   * @throws `ABORTED` when `signal` had aborted; `NOT_STARTED`, `STOPPED`
   */
  async takeOver(options: {
    withoutPeers: readonly string[]
    signal?: AbortSignal
  }): Promise<void> {
    requireKnown('takeOver()', options, ['withoutPeers', 'signal'])
    const { withoutPeers, signal } = options
    if (!Array.isArray(withoutPeers)) {
      const details = { option: 'withoutPeers' }
      throw new HotspareError('OPTION_INVALID', 'withoutPeers must list members', { details })
    }
    await this.#runtime.command({ name: 'takeOver', withoutPeers }, signal)
  }

  /**
   * Resolves when `count` standbys are in sync, as far as this node knows; at once if they are
   * already. From then on, until one is lost, a write with the level `standby` survives the loss of
   * any one machine. On a standby it also means that this node is one of them. It continues to wait
   * through changes of the role.
   *
   * @param options - `count`: standbys, default 1
   * @throws `OPTION_INVALID` when the cluster has no `count` members beside the active that can be
   *   in sync
   * @throws `NOT_STARTED`, `STOPPED`, `ABORTED`
   * @example
   * ```ts
   * await node.start()
   * await node.inSync({ signal: AbortSignal.timeout(60_000) })
   * await node.switchover()
   * ```
   */
  async inSync(options: { count?: number; signal?: AbortSignal } = {}): Promise<void> {
    requireKnown('inSync()', options, ['count', 'signal'])
    const { count = 1, signal } = options
    const limit = this.#options.members.filter(({ observer }) => observer !== true).length - 1
    if (!Number.isInteger(count) || count < 1 || count > limit) {
      const what = `count is ${count}, and at most ${limit} standbys can be in sync here`
      const details = { option: 'count', limit, actual: count }
      throw new HotspareError('OPTION_INVALID', what, { details })
    }
    await this.#runtime.inSync(count, signal)
  }

  /** The state of this node, and its view of the others. */
  status(): NodeStatus {
    return this.#runtime.status()
  }

  /**
   * The last 64 decisions about roles, each with the rule and the facts it was based on. Oldest
   * first; repetitions of the same decision are listed once. `atMs` is on the node's monotonic
   * clock, which starts with the process, so it is useful for differences only.
   */
  explain(): readonly Decision[] {
    return this.#runtime.explain()
  }

  /**
   * Calls `listener` with each event of this name. An error that it throws becomes the event
   * `error`.
   * @throws `OPTION_INVALID` for a name that no event has
   */
  on<Name extends keyof NodeEvents>(
    name: Name,
    listener: (...event: NodeEvents[Name]) => void,
  ): this {
    this.#runtime.events.on(name, listener as never)
    return this
  }

  /**
   * Calls `listener` with the next event of this name. @throws `OPTION_INVALID` as
   * {@link ClusterNode.on}
   */
  once<Name extends keyof NodeEvents>(
    name: Name,
    listener: (...event: NodeEvents[Name]) => void,
  ): this {
    this.#runtime.events.once(name, listener as never)
    return this
  }

  /** Removes a listener. */
  off<Name extends keyof NodeEvents>(
    name: Name,
    listener: (...event: NodeEvents[Name]) => void,
  ): this {
    this.#runtime.events.off(name, listener as never)
    return this
  }
}
