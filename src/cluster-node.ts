/** What an application holds: one node of a cluster. */

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

/** What a class's `apply` takes. */
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
   * Bytes of an object that an incident names; fewer than asked only at its end.
   * @param object - the `object` of a file, a state or the journal of an incident
   * @param options - `offset`: the first byte, default 0; `length`: bytes at most, default 1 MiB
   * @throws `FILE_NOT_FOUND` when the vault holds no such object; `NOT_STARTED`, `STOPPED`,
   *   `STORAGE_FAILED`
   */
  read(object: string, options?: { offset?: number; length?: number }): Promise<Uint8Array>
  /**
   * Removes an incident that was dealt with, and gives its room back. What it held is gone for good
   * then; this version has no reader for its states and its journal, so keep incidents of
   * application state that matters.
   * @throws `NOT_STARTED`, `STOPPED`, `STORAGE_FAILED`
   */
  remove(incident: VaultIncident): Promise<void>
}

/**
 * Bytes that one `vault.read` gives unless it asks for another length; the rest takes further
 * calls.
 */
const vaultReadBytes = 1024 * 1024

const runtimes = new WeakMap<object, Runtime>()

/**
 * What runs inside a node: for the simulator of this package, and no part of what an application
 * sees.
 */
export function runtimeOf(node: object): Runtime {
  const runtime = runtimes.get(node)
  if (runtime === undefined) throw new TypeError('not a node')
  return runtime
}

/**
 * One node of a cluster. Exactly one node of a cluster is active; the others are warm copies.
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
  /** What a divergence left on this node. */
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
          const what = 'vault.remove() takes an incident, as vault.list() has it'
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

  /** What this node is doing; `stopped` before `start()` and after `stop()`. */
  get role(): Role {
    return this.#runtime.role
  }

  /** The tenure while this node is active. */
  get tenure(): Tenure | undefined {
    return this.#runtime.tenures.current
  }

  /** The address that peers reach this node at, once started. */
  get address(): string | undefined {
    return this.#runtime.address
  }

  /**
   * Opens storage and transport and takes part in the cluster. Resolves when this node is standby
   * or active for the first time; until then `status()` and the events tell how it goes: `waiting`
   * names the members that it gives up to `startupWaitMs` to show up, `holding` those without which
   * it does not go on.
   *
   * @throws `ADOPT_REQUIRED` when there are files in paths of synced classes and no history,
   *   without `adopt`
   * @throws `STORAGE_LOCKED`, `STORAGE_FORMAT`, `STORAGE_CORRUPT`, `STORAGE_FULL`,
   *   `STORAGE_READ_ONLY`, `STORAGE_FAILED`
   * @throws `ADDRESS_IN_USE`; `OPTION_INVALID` for an address that this machine cannot listen on,
   *   an option that there is not, or `join` together with `adopt` or without another member
   * @throws `ALREADY_STARTED`; `STOPPED` when the node was stopped meanwhile
   * @throws `ABORTED` when `signal` aborted; the node is stopped then
   */
  async start(options: StartOptions = {}): Promise<void> {
    requireKnown('start()', options, ['adopt', 'join', 'signal'])
    await this.#runtime.start(options)
  }

  /**
   * Leaves the cluster. An active node hands the role over first when a standby is in sync.
   * Idempotent.
   * @param options - `signal`: gives up the handover; the node stops all the same
   * @throws `OPTION_INVALID` for an option that there is not
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
   * Changes application state on all nodes. Only on the active.
   *
   * The change is plain data: null, booleans, numbers, strings, bytes, valid `Date`s, bigints of 64
   * bits, `undefined`, and arrays and plain objects of these, 100 levels deep at most. Every node's
   * `apply` gets it as the journal holds it: bytes as a `Buffer`, `-0` as `0`, holes of an array as
   * `undefined`, and of an object its own enumerable properties with string keys. All else is
   * refused. Until the call has resolved the change must not be changed.
   *
   * @returns what the write really got, with `apply`'s result; of plain data a copy, else what
   *   `apply` returned
   * @throws `NOT_ACTIVE` with the active in `details.active`
   * @throws `VALUE_INVALID` for a change that is no plain data, with the place of what is not
   * @throws `CLASS_UNKNOWN`, `CLASS_KIND`, `QUEUE_FULL`, `WRITE_TOO_LARGE`, `OPTION_INVALID`,
   *   `NOT_STARTED`, `STOPPED`
   * @throws `ABORTED`, `WRITES_BLOCKED` when the signal aborted; unless `retryable` is true the
   *   write has happened
   * @throws `OUTCOME_UNKNOWN` when the role was lost before the write was acknowledged
   * @throws what `apply` threw, which is a replicated result as any other and undoes nothing
   */
  update<Name extends StateNames<C>>(
    className: Name,
    change: ChangeOf<C, Name>,
    options?: WriteOptions,
  ): Promise<Receipt> {
    return this.#runtime.writes.update(className, change, options)
  }

  /**
   * Several writes as one change: all or nothing, at one position, on every node. Nothing happens
   * before `work` has resolved; reads inside see what is applied and the transaction's own writes.
   * All or nothing ends there: an `apply` that throws at the commit undoes nothing, neither its own
   * half-done work nor the other changes.
   *
   * @throws what `work` threw; nothing has happened then
   * @throws `TX_CONFLICT` when what was read has changed meanwhile; run it again
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
   * @throws what the first failing `apply` threw; the transaction has happened, and the results of
   *   the others are lost to the caller
   */
  async transaction<Result>(
    work: (transaction: Transaction) => Promise<Result> | Result,
    options: TransactionOptions = {},
  ): Promise<TransactionResult<Result>> {
    return await runTransaction(this.#runtime.writes, work, options)
  }

  /**
   * Calls `serve` each time this node becomes active, with a tenure whose signal aborts when the
   * role is lost. Resolves when the node stops or `signal` aborts, and no sooner than `serve`,
   * which should end with the tenure.
   *
   * When `serve` throws while the role is held, the call rejects with that, and `serve` is not
   * called again. The node **stays active** all the same, with nobody serving: stop it, so that
   * another one takes over. What `serve` throws after the role was lost is ignored.
   *
   * @throws what `serve` threw while it held the role; `OPTION_INVALID` for an option that there is
   *   not
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
   * Hands the role over to a standby that is in sync. Only on the active. Writes made meanwhile
   * wait and go to the new active; large content and transactions that are under way can end with
   * `NOT_ACTIVE`, and have not happened then.
   *
   * @param options - `to`: the member; default the first in takeover order that is eligible
   * @throws `NOT_ACTIVE` with the active in `details.active`, `NO_ELIGIBLE_STANDBY` or, when `to`
   *   is no other member, `OPTION_INVALID`, with the role unchanged; `SWITCHOVER_FAILED`,
   *   `SWITCHOVER_UNDER_WAY`
   * @throws `ABORTED` when `signal` aborted: nothing has happened when it had before the call, and
   *   a switchover that is under way goes on
   */
  async switchover(options: { to?: string; signal?: AbortSignal } = {}): Promise<void> {
    requireKnown('switchover()', options, ['to', 'signal'])
    await this.#runtime.command({ name: 'switchover', to: options.to }, options.signal)
  }

  /**
   * Takes over without waiting for these members: the operator's way out while the node reports
   * `holding`. It also ends the caution of `start({ join: true })`. What they have and this node
   * lacks is lost, or goes to the vault when they come back. It resolves when the order is taken,
   * not when the node is active. On the active it does nothing, and neither does it where this node
   * may not be promoted: an observer, a damaged copy, a full disk. No order ends `holding` with "no
   * member in reach may be promoted".
   *
   * @throws `OPTION_INVALID` when one of them is no other member; `SWITCHOVER_FAILED` on a node
   *   that hears the active
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
   * Resolves when so many standbys are in sync as this node knows it, at once when they are
   * already: from then on, and until one is lost, a write with the level `standby` survives the
   * loss of any one machine. On a standby it also means that this node is one of them. It waits
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

  /** The state of this node and what it knows of the others. */
  status(): NodeStatus {
    return this.#runtime.status()
  }

  /**
   * The last 64 decisions about roles: for each the rule and the facts it rests on. Oldest first;
   * the same one many times in a row is listed once. `atMs` is of the node's monotonic clock, which
   * starts with the process: good for differences only.
   */
  explain(): readonly Decision[] {
    return this.#runtime.explain()
  }

  /**
   * Calls `listener` with each event of this name. What it throws becomes the event `error`.
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

  /** Takes a listener away again. */
  off<Name extends keyof NodeEvents>(
    name: Name,
    listener: (...event: NodeEvents[Name]) => void,
  ): this {
    this.#runtime.events.off(name, listener as never)
    return this
  }
}
