/**
 * Admits the connections that other nodes dialled, a limited number for each member.
 *
 * Invariant: a refusal is reported, and is attributed to a member only if the member proved its
 * identity or no other member can have dialled.
 */
import debug from 'debug'
import { HotspareError } from '../../errors.js'
import type { Connection } from '../../interfaces/transport.js'
import type { Channel } from '../../protocol/channel.js'
import { acceptChannel } from '../../protocol/channel.js'
import type { Refusal } from '../../protocol/handshake.js'
import { HandshakeGuard } from '../../protocol/handshake-guard.js'
import type { Identity } from '../../protocol/identity.js'
import { hostOf, isAnswer } from './answers.js'
import type { PeerLink } from './peer-link.js'

const log = debug('hotspare:links')

/**
 * Connections that a node accepts from each member: enough for its lanes, their replacements, and
 * those that are closing. Further ones are closed at once.
 */
export const connectionsPerMember = 16

/** Receives the refusals. */
export interface AdmissionReports {
  /** Why this process of a member is not admitted; undefined when it is. */
  barred(identity: Identity): string | undefined
  /**
   * A member, or a stranger named by its address, was refused or refused this node. Refusals with
   * one key are the same.
   */
  refused(key: string, peer: string, error: HotspareError): void
  /** A process of a member is alive, and one side refused the other. */
  refusal(peer: string, error: HotspareError): void
}

/** Options of the admission. */
export interface AcceptedOptions {
  readonly nodeId: string
  readonly peers: ReadonlyMap<string, PeerLink>
  readonly reports: AdmissionReports
  /** Options of the handshake. */
  readonly handshake: Omit<Parameters<typeof acceptChannel>[1], 'guard' | 'admit'>
  /** A member was admitted. */
  opened(channel: Channel): void
}

export class AcceptedConnections {
  readonly #options: AcceptedOptions
  readonly #guard = new HandshakeGuard()
  readonly #channels = new Set<Channel>()
  #open = true

  constructor(options: AcceptedOptions) {
    this.#options = options
  }

  accept(connection: Connection): void {
    acceptChannel(connection, {
      ...this.#options.handshake,
      guard: this.#guard,
      admit: (identity) => this.#admit(identity),
    })
      .then((channel) => this.#onAccepted(channel))
      .catch((error: unknown) => this.#onRejected(connection, error))
  }

  /** Closes the connections dialled by other processes with the id of a member. */
  endOthers(id: string, bootId: string): void {
    for (const channel of this.#channels) {
      const { nodeId, bootId: other } = channel.identity
      if (nodeId === id && other !== bootId) channel.destroy()
    }
  }

  close(): void {
    this.#open = false
    for (const channel of this.#channels) channel.close()
  }

  #admit(identity: Identity): Refusal | undefined {
    const { nodeId } = identity
    const { peers, reports } = this.#options
    if (peers.has(nodeId)) {
      const twin = reports.barred(identity)
      return twin === undefined ? undefined : { reason: 'duplicateId', message: twin }
    }
    const message =
      nodeId === this.#options.nodeId
        ? `${nodeId} is the id of this node itself: two processes run under it`
        : `${nodeId} is no member of this cluster`
    return { reason: 'unknownMember', message }
  }

  #onAccepted(channel: Channel): void {
    if (!this.#open) return channel.destroy()
    let ofPeer = 0
    for (const old of this.#channels) {
      if (old.closed) this.#channels.delete(old)
      else if (old.identity.nodeId === channel.identity.nodeId) ofPeer += 1
    }
    if (ofPeer >= connectionsPerMember) return channel.destroy()
    this.#channels.add(channel)
    this.#options.opened(channel)
  }

  #onRejected(connection: Connection, error: unknown): void {
    connection.destroy()
    if (!this.#open) return
    const { remote } = connection
    const { nodeId, reports } = this.#options
    log('%s: the connection from %s ended: %o', nodeId, remote, error)
    if (!(error instanceof HotspareError)) return
    const failed = error.code === 'HANDSHAKE_FAILED' || error.code === 'HANDSHAKE_VERSION'
    if (!failed) return
    // The port is left out, because each attempt comes from another one.
    reports.refused(refusalKey(`from ${hostOf(remote)}`, error), remote, error)
    const member = isAnswer(error) ? this.#whoDialled(remote, error) : undefined
    if (member !== undefined) reports.refusal(member, error)
  }

  /**
   * The member that a refused connection came from: the one that proved its identity, or the only
   * member at that host that has not been met yet and at whose address a process may be listening.
   */
  #whoDialled(remote: string, { details }: HotspareError): string | undefined {
    const { peers } = this.#options
    if (typeof details.nodeId === 'string') {
      return peers.has(details.nodeId) ? details.nodeId : undefined
    }
    const there = [...peers.values()].filter(
      ({ address, stands, failure }) =>
        hostOf(address) === hostOf(remote) && !stands && failure?.code !== 'PEER_REFUSED',
    )
    return there.length === 1 ? there[0]?.id : undefined
  }
}

/** The key of a refusal. Refusals with one key are reported once. */
export function refusalKey(whom: string, error: HotspareError): string {
  return `${whom} ${error.code} ${String(error.details.reason)}`
}
