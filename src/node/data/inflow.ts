/**
 * Receives data of other nodes into the copy: the stream of the active that this node follows, and
 * what a round fetches.
 *
 * Invariants: at most one stream is followed; after `cut` nothing enters the copy until this node
 * is told to follow or to fetch.
 */
import type { LocalCopy } from '../../copy/local-copy.js'
import type { Vault } from '../../copy/vault/vault.js'
import type { ErrorCode } from '../../error-codes.js'
import type { Term } from '../../history/position.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import { kindOf } from '../../policy/kinds/table.js'
import { brokenBy } from '../../replication/stream/broken-by.js'
import { Incoming } from '../../replication/stream/incoming.js'
import type { IncomingContext, IncomingEvent } from '../../replication/stream/incoming-types.js'
import type { NodeOptions } from '../contract/options.js'
import { acknowledgesFromMemory, type CopyTrust } from './copy-trust.js'
import { Fetching } from './fetching.js'
import type { ReplicaHooks } from './replica-types.js'
import type { StorageRetry } from './storage-retry.js'

/**
 * A restore whose source sends nothing for this many `deadMs`, although it is alive, is given up
 * and started again.
 */
const sourceSilentFactor = 15

export interface InflowOptions {
  readonly options: NodeOptions
  readonly hooks: ReplicaHooks
  readonly copy: LocalCopy
  readonly vault: Vault
  readonly storage: OpenStorage
  readonly retry: StorageRetry
  readonly trust: CopyTrust
}

export class Inflow {
  readonly #options: InflowOptions
  readonly #fetching: Fetching
  #incoming: Incoming | undefined
  #followed: { readonly peer: string; readonly term: Term } | undefined
  #brokenAtMs: number | undefined
  #refusal: string | undefined
  /** Resolves when the attempts to follow that were given up have ended. */
  #settling: Promise<void> = Promise.resolve()

  constructor(options: InflowOptions) {
    this.#options = options
    const { copy, vault, storage, hooks } = options
    const { clock, deadMs } = options.options
    this.#fetching = new Fetching({
      copy,
      vault,
      storage,
      clock,
      deadMs,
      dial: (peer, signal) => hooks.dial(peer, 'bulk', signal),
      settled: () => this.#settling,
    })
  }

  /** The active that is followed, or was until its stream broke. */
  get followed(): { readonly peer: string; readonly term: Term } | undefined {
    return this.#followed
  }

  /** Why the active that is followed gives this node no data, when their policies differ. */
  get refusal(): string | undefined {
    return this.#refusal
  }

  /** Follows a peer's stream until `unfollow`. */
  follow(peer: string, term: Term): void {
    this.unfollow()
    this.#followed = { peer, term }
    const incoming = new Incoming(this.#incomingContext(), peer, term)
    this.#incoming = incoming
    void this.#start(incoming)
  }

  async #start(incoming: Incoming): Promise<void> {
    const { copy, retry } = this.#options
    try {
      await this.#fetching.end()
      // A previous attempt may be in the middle of its switch, which needs its staged files.
      await this.#settling
      const { failed } = copy
      // A damaged journal cannot be opened again; a full restore replaces it.
      if (failed !== undefined && failed.code !== 'JOURNAL_CORRUPT') await retry.reopen()
    } catch (error) {
      if (this.#incoming !== incoming) return
      const { peer } = incoming
      this.#onIncoming({ name: 'broken', peer, ...brokenBy(error) })
      return
    }
    if (this.#incoming === incoming) incoming.start()
  }

  unfollow(): void {
    // The refusal of an active is meaningless once that active is gone.
    this.#refusal = undefined
    this.#incoming?.stop()
    this.#leaveIncoming()
  }

  #leaveIncoming(): void {
    const incoming = this.#incoming
    this.#incoming = undefined
    if (incoming === undefined) return
    const before = this.#settling
    this.#settling = incoming.settled().then(() => before)
  }

  /**
   * Ends the stream because no more entries can be taken in: this node's storage failed, or a file
   * has to be restored.
   */
  breakStream(code: ErrorCode, reason: string): void {
    const incoming = this.#incoming
    if (incoming === undefined) return
    incoming.stop()
    this.#onIncoming({ name: 'broken', peer: incoming.peer, code, reason })
  }

  /**
   * Ends the stream and the fetch. A switch to a restore that has begun continues: see `settled`.
   */
  cut(): Promise<void> {
    this.unfollow()
    return this.#fetching.end()
  }

  /** Resolves when the streams that were given up have ended completely. */
  settled(): Promise<void> {
    return this.#settling
  }

  /**
   * Records that the active was heard. Without its stream it may have changed the in-sync set
   * meanwhile, so the set in this node's journal can no longer be relied on.
   */
  heardActive(term: Term, seq: number): void {
    this.#incoming?.heard(term, seq)
    if (this.#brokenAtMs === undefined || this.#incoming?.wasSentAll === true) return
    const { clock, heartbeatMs } = this.#options.options
    if (clock.nowMs() - this.#brokenAtMs > heartbeatMs) this.#options.trust.doubtInSync()
  }

  /**
   * Fetches the entries that this copy lacks from a peer whose copy continues it.
   *
   * @throws `ABORTED` when the fetch is ended
   */
  fetch(peer: string, seq: number, moved: (count: number) => void): Promise<void> {
    return this.#fetching.begin(peer, seq, moved)
  }

  #incomingContext(): IncomingContext {
    const { copy, vault, storage, hooks, options } = this.#options
    const { policy, clock, restoreBytesPerSecondMax, degradeAfterMs, deadMs } = options
    const states = policy.stateClasses()
    return {
      copy,
      vault,
      storage,
      clock,
      restoreBytesPerSecondMax,
      degradeAfterMs,
      sourceSilentMs: sourceSilentFactor * deadMs,
      stateClasses: states.map(({ name }) => name),
      outsideRepaired: (found) => hooks.reports.outside(found, 'repaired'),
      acknowledgeReceipt: acknowledgesFromMemory(options),
      claims: (path) => {
        const found = policy.classOf(path)
        return found !== undefined && kindOf(found.declaration).isReplicated
      },
      promised: () => hooks.promised(),
      dial: (peer, lane, signal) => hooks.dial(peer, lane, signal),
      report: (event) => this.#onIncoming(event),
    }
  }

  #onIncoming(event: IncomingEvent): void {
    const { hooks, options, trust } = this.#options
    if (event.name === 'complete') {
      trust.isWhole()
      this.#brokenAtMs = undefined
    }
    if (event.name === 'broken' || event.name === 'refused') {
      this.#leaveIncoming()
      this.#brokenAtMs ??= options.clock.nowMs()
    }
    if (event.name === 'refused' && event.code === 'POLICY_MISMATCH') this.#refusal = event.reason
    hooks.reports.incoming(event)
  }
}
