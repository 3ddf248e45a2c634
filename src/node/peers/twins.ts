/**
 * Two processes under the id of one member: whoever hears both tells its application and them, and
 * lets only one of them in. Each makes void what the other one said, so that a standby that took
 * both in would begin anew with each of their messages.
 */
import { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'
import { ReportLimiter } from '../../util/report-limiter.js'
import type { Emit } from '../contract/events.js'
import type { Links } from './links.js'
import type { PeerIdentities } from './peer-identities.js'

/** What a node tells a member under whose id two processes run. */
export const duplicateType = 'duplicate'

/** Processes of one id that an event names; the rest is left out. */
const bootIdsMax = 2
/** Characters that are shown of the id of a process; the rest is left out. */
const bootIdLengthMax = 64

export interface TwinsOptions {
  readonly id: string
  readonly bootId: string
  readonly clock: Clock
  readonly identities: PeerIdentities
  readonly emit: Emit
  links(): Pick<Links, 'processAt' | 'send' | 'endOthers'> | undefined
}

export class Twins {
  readonly #options: TwinsOptions
  readonly #told: ReportLimiter

  constructor(options: TwinsOptions) {
    this.#options = options
    this.#told = new ReportLimiter(options.clock)
  }

  /** A process spoke as this peer. */
  spoke(peer: string, bootId: string): void {
    const { identities, clock, emit } = this.#options
    const bootIds = identities.spoke(peer, bootId, clock.nowMs())
    if (bootIds === undefined) return
    emit('duplicateId', { peer, bootIds, ...textOf(`two processes run as ${peer}`) })
    const links = this.#options.links()
    if (links === undefined) return
    // The one at the address that the members list is the one that is meant.
    const kept = links.processAt(peer) ?? bootIds[0]
    identities.keep(peer, kept, clock.nowMs())
    links.send(peer, duplicateType, { bootIds })
    links.endOthers(peer, kept)
  }

  /**
   * A handshake was refused: perhaps because another process runs under the own id, whoever of the
   * two sides says so.
   */
  refused({ details }: HotspareError): void {
    const { id, bootId } = this.#options
    if (details.reason !== 'duplicateId') return
    if (details.refusedBy !== 'peer' && details.nodeId !== id) return
    this.#tell([bootId], `another process and this one run as ${id}`)
  }

  /** A peer says that it hears two processes under the own id. */
  toldBy(peer: string, body: unknown): void {
    this.#tell(bootIdsOf(body), `${peer} hears two processes, which run as ${this.#options.id}`)
  }

  #tell(bootIds: readonly string[], what: string): void {
    const { id, emit } = this.#options
    if (this.#told.isDue(id)) emit('duplicateId', { peer: id, bootIds, ...textOf(what) })
  }
}

function textOf(what: string): { readonly code: string; readonly reason: string } {
  const { code, message } = new HotspareError('DUPLICATE_ID', what)
  return { code, reason: message }
}

/** What cannot be understood names nobody. */
function bootIdsOf(body: unknown): string[] {
  const { bootIds } = (body ?? {}) as { bootIds?: unknown }
  const strings = Array.isArray(bootIds) ? bootIds.filter((one) => typeof one === 'string') : []
  return strings.slice(0, bootIdsMax).map((one) => one.slice(0, bootIdLengthMax))
}
