/**
 * Takes outside changes to files into the history of a node that becomes active: as many as
 * possible before it serves, the rest afterwards.
 */
import { isNothing } from '../../copy/files/tree-scan.js'
import type { OutsideReport } from '../../copy/files/types.js'
import type { LocalCopy } from '../../copy/local-copy.js'
import type { Vault } from '../../copy/vault/vault.js'
import { HotspareError } from '../../errors.js'
import type { OpenStorage } from '../../interfaces/storage.js'
import type { Writer } from '../../replication/write/writer.js'
import type { NodeOptions } from '../contract/options.js'
import type { AdoptionResult } from './adoption.js'
import { Adoption } from './adoption.js'
import type { AdoptionWatchOptions } from './adoption-watch.js'
import { LaterAdoption } from './later-adoption.js'
import type { ReplicaHooks } from './replica-types.js'

/**
 * No node serves while files are adopted, so what takes longer than this many `deadMs` is left
 * until this node serves.
 */
const adoptForDeadTimes = 15

export interface OutsideAdoptionOptions {
  readonly options: NodeOptions
  readonly hooks: ReplicaHooks
  readonly copy: LocalCopy
  readonly vault: Vault
  readonly storage: OpenStorage
  /** The writer of the present tenure. */
  writer(): Writer | undefined
}

export class OutsideAdoption {
  readonly #options: OutsideAdoptionOptions
  readonly #later: LaterAdoption
  /**
   * Whether the disk failed during an attempt to adopt. The next attempt then adopts nothing, so
   * that this node gets the role at all.
   */
  #adoptsNothing = false

  constructor(options: OutsideAdoptionOptions) {
    this.#options = options
    const { hooks } = options
    this.#later = new LaterAdoption({
      clock: options.options.clock,
      adopt: (left) => this.#adoptLater(left),
      adopted: ({ adopted }) => hooks.reports.outside(adopted, 'adopted'),
    })
  }

  /**
   * Adopts changes before the node serves; `progressed` reports progress. Changes that are not
   * adopted stay known: they are tried again, and are replaced by the version of the history when
   * this node follows an active.
   *
   * @throws `ABORTED` when the term is no longer to be opened; the failure of the storage
   */
  async begin(writer: Writer, progressed: () => void): Promise<void> {
    const { copy, hooks, options } = this.#options
    const outside = copy.outside.report
    if (isNothing(outside)) return
    const { unknown, differing, missing } = outside
    hooks.reports.adopting(unknown.length + differing.length + missing.length)
    const isWanted = (): boolean => this.#options.writer() === writer
    const forMs = adoptForDeadTimes * options.deadMs
    try {
      const adoption = this.#newAdoption(writer, { forMs, isWanted, progressed })
      const result = await adoption.run(this.#adoptsNothing ? 'nothing' : 'all')
      this.#adoptsNothing = false
      hooks.reports.adoption(result)
      if (!isNothing(result.left)) this.#later.begin(result.left)
    } catch (error) {
      this.#adoptsNothing = copy.failed !== undefined
      throw error
    }
  }

  /** Ends the tenure. */
  end(): void {
    this.#later.end()
  }

  /**
   * Adopts changes while the node is active. Nothing is journaled while it may not act as active.
   */
  async #adoptLater(left: OutsideReport): Promise<AdoptionResult> {
    const writer = this.#options.writer()
    if (writer === undefined) throw new HotspareError('NOT_ACTIVE', 'the role was lost')
    const isWanted = (): boolean => this.#options.writer() === writer && writer.mayAct
    const limits = { forMs: Number.POSITIVE_INFINITY, isWanted, progressed: () => undefined }
    return await this.#newAdoption(writer, limits).run('all', left)
  }

  #newAdoption(
    writer: Writer,
    limits: Pick<AdoptionWatchOptions, 'forMs' | 'isWanted' | 'progressed'>,
  ): Adoption {
    const { copy, vault, storage, options } = this.#options
    const { clock, policy, heartbeatMs } = options
    const watch = { clock, everyMs: heartbeatMs, ...limits }
    return new Adoption({ copy, vault, storage, policy, writer, watch })
  }
}
