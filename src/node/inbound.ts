/**
 * Receives messages and connections of the other members and passes them to the parts of this node.
 */
import debug from 'debug'
import type { CoreMessage } from '../core/state/messages.js'
import type { LinkCause } from '../core/state/types.js'
import type { HotspareError } from '../errors.js'
import type { Channel } from '../protocol/channel.js'
import type { Envelope } from '../protocol/envelope.js'
import type { Identity } from '../protocol/identity.js'
import type { Emit } from './contract/events.js'
import type { NodeOptions } from './contract/options.js'
import type { NodeParts } from './node-parts.js'
import type { LinkHandlers } from './peers/links.js'
import type { PeerIdentities } from './peers/peer-identities.js'
import type { Refusals } from './peers/refusals.js'
import { duplicateType, type Twins } from './peers/twins.js'
import type { Redundancy } from './report/redundancy.js'
import type { DriverInput } from './roles/driver.js'
import type { WritePath } from './writes/write-path.js'

const log = debug('hotspare:node')

export interface InboundOptions {
  readonly options: NodeOptions
  readonly emit: Emit
  readonly identities: PeerIdentities
  readonly twins: Twins
  readonly refusals: Refusals
  readonly redundancy: Redundancy
  readonly writes: WritePath
  /** Undefined while the node does not run; messages that arrive then are dropped. */
  parts(): NodeParts | undefined
}

export class Inbound implements LinkHandlers {
  readonly #options: InboundOptions

  constructor(options: InboundOptions) {
    this.#options = options
  }

  linkUp(peer: string, bootId: string, accepted: boolean): void {
    this.#input({ type: 'linkUp', peer, bootId, accepted })
  }

  linkDown(peer: string, cause: LinkCause, accepted: boolean): void {
    this.#input({ type: 'linkDown', peer, cause, accepted })
  }

  lost(peer: string): void {
    this.#options.writes.forwarding.lost(peer)
  }

  dialFailed(
    peer: string,
    cause: 'refused' | 'unreachable' | 'rejected',
    { message }: HotspareError,
  ): void {
    this.#input({ type: 'dialFailed', peer, cause, reason: message })
  }

  refusal(peer: string, { message }: HotspareError): void {
    this.#input({ type: 'refusal', peer, reason: message })
  }

  refused(key: string, peer: string, error: HotspareError): void {
    const { code, message } = error
    this.#options.refusals.tell(key, { peer, code, reason: message })
    this.#options.twins.refused(error)
  }

  barred(identity: Identity): string | undefined {
    const { identities, options } = this.#options
    return identities.refusal(identity, options.clock.nowMs())
  }

  met(identity: Identity): void {
    const { identities, emit } = this.#options
    const reason = identities.met(identity)
    if (reason !== undefined) emit('configMismatch', { peer: identity.nodeId, reason })
  }

  stream(channel: Channel): void {
    const parts = this.#options.parts()
    if (parts === undefined) return channel.destroy()
    parts.replica.followers.acceptStream(channel)
  }

  bulk(channel: Channel): void {
    const parts = this.#options.parts()
    if (parts === undefined) return channel.destroy()
    parts.replica.followers.acceptBulk(channel)
  }

  core(from: string, message: CoreMessage): void {
    const parts = this.#options.parts()
    if (parts === undefined) return
    const { replica, driver } = parts
    if ('view' in message) {
      const { bootId, activeTerm, copy } = message.view
      this.#options.twins.spoke(from, bootId)
      if (activeTerm !== undefined && from === replica.inflow.followed?.peer) {
        replica.inflow.heardActive(activeTerm, copy.seq)
      }
      replica.followers.heard(from, copy.durableSeq)
    }
    driver.input({ type: 'message', from, message })
    this.#options.redundancy.check()
    noteLowestPeer(parts)
  }

  received(from: string, message: Envelope): void {
    const { options, parts, twins, writes } = this.#options
    if (parts() === undefined) return
    switch (message.type) {
      case 'forward':
        return writes.forwarded.onForward(from, message.body)
      case 'forwarded':
        return writes.forwarding.onForwarded(from, message.body)
      case duplicateType:
        return twins.toldBy(from, message.body)
      default:
        // Later versions may send types that this one does not know, which is no error.
        log('%s: a message of the unknown type %s from %s', options.id, message.type, from)
    }
  }

  #input(input: DriverInput): void {
    this.#options.parts()?.driver.input(input)
  }
}

/** Keeps the journal that known members may still need when they return. */
function noteLowestPeer({ driver, replica }: NodeParts): void {
  let lowest = Number.POSITIVE_INFINITY
  for (const { view } of driver.state.peers.values()) {
    if (view !== undefined) lowest = Math.min(lowest, view.copy.seq)
  }
  replica.copy.setLowestPeerSeq(lowest)
}
