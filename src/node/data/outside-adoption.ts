/**
 * What somebody else did to files of a node that becomes active is taken into the history: what can
 * be before it serves, the rest while it does.
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
 * Nobody serves while files are adopted: what is not done after so many times `deadMs` waits until
 * this node does.
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
   * The disk did not hold what an attempt to adopt wrote: the next one leaves it alone, so that it
   * gets the role at all.
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
   * Adopts before the node serves; `progressed` tells that this goes on. What is not adopted stays
   * known: it is tried again, and this node gets the history's version when it follows somebody.
   *
   * @throws `ABORTED` when the term is not to be opened any more; the failure of the storage
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

  /** The tenure is over. */
  end(): void {
    this.#later.end()
  }

  /** While the node is active: nothing is journaled when it may not act as active. */
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
