/**
 * The connections that others dialled: who is let in, and how many of each member.
 *
 * Invariant: a refusal is told, and is put down to a member only where it proved itself, or where
 * no other one can be meant.
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
 * Connections that a node accepts from each member: three lanes, and as many dying ones. Further
 * ones are closed at once.
 */
export const connectionsPerMember = 16

/** Who hears of those that are not let in. */
export interface AdmissionReports {
  /** Why this process of a member is not let in; undefined when it is. */
  barred(identity: Identity): string | undefined
  /**
   * A member, or a stranger by its address, was refused or refuses; two with the same key are the
   * same.
   */
  refused(key: string, peer: string, error: HotspareError): void
  /** A member answers, and one side refuses the other: its process lives. */
  refusal(peer: string, error: HotspareError): void
}

/** What connections are accepted with. */
export interface AcceptedOptions {
  readonly nodeId: string
  readonly peers: ReadonlyMap<string, PeerLink>
  readonly reports: AdmissionReports
  /** What the handshake needs. */
  readonly handshake: Omit<Parameters<typeof acceptChannel>[1], 'guard' | 'admit'>
  /** A member was let in. */
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

  /** Ends what other processes with the id of a member dialled. */
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
    // A port tells nobody apart: each attempt comes from another one.
    reports.refused(refusalKey(`from ${hostOf(remote)}`, error), remote, error)
    const member = isAnswer(error) ? this.#whoDialled(remote, error) : undefined
    if (member !== undefined) reports.refusal(member, error)
  }

  /**
   * The member that a refused dial came from: as it proved itself, or the only one that lives at
   * that host and was not met, while nobody can tell that nothing listens there.
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

/** Refusals with the same key are the same, and told once. */
export function refusalKey(whom: string, error: HotspareError): string {
  return `${whom} ${error.code} ${String(error.details.reason)}`
}
