/**
 * Handles two processes with the id of one member. A node that hears both reports it to its
 * application and to them, and admits only one of them, because their reports invalidate each other
 * and a standby would start again with each message.
 */
import { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'
import { ReportLimiter } from '../../util/report-limiter.js'
import type { Emit } from '../contract/events.js'
import type { Links } from './links.js'
import type { PeerIdentities } from './peer-identities.js'

/** The message to a member with whose id two processes run. */
export const duplicateType = 'duplicate'

/** Boot ids that an event contains; further ones are left out. */
const bootIdsMax = 2
/** Characters shown of a boot id; the rest is left out. */
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

  /** Records that a process has sent a message as this peer. */
  spoke(peer: string, bootId: string): void {
    const { identities, clock, emit } = this.#options
    const bootIds = identities.spoke(peer, bootId, clock.nowMs())
    if (bootIds === undefined) return
    emit('duplicateId', { peer, bootIds, ...textOf(`two processes run as ${peer}`) })
    const links = this.#options.links()
    if (links === undefined) return
    // The process at the configured address is the intended one.
    const kept = links.processAt(peer) ?? bootIds[0]
    identities.keep(peer, kept, clock.nowMs())
    links.send(peer, duplicateType, { bootIds })
    links.endOthers(peer, kept)
  }

  /**
   * Handles a refused handshake, of either side, whose reason may be another process with the id of
   * this node.
   */
  refused({ details }: HotspareError): void {
    const { id, bootId } = this.#options
    if (details.reason !== 'duplicateId') return
    if (details.refusedBy !== 'peer' && details.nodeId !== id) return
    this.#tell([bootId], `another process and this one run as ${id}`)
  }

  /** A peer reports that it hears two processes with the id of this node. */
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

/** The boot ids in the message; malformed ones are left out. */
function bootIdsOf(body: unknown): string[] {
  const { bootIds } = (body ?? {}) as { bootIds?: unknown }
  const strings = Array.isArray(bootIds) ? bootIds.filter((one) => typeof one === 'string') : []
  return strings.slice(0, bootIdsMax).map((one) => one.slice(0, bootIdLengthMax))
}
