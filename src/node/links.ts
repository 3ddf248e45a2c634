/**
 * Connections between nodes. Each node speaks on the control connections that it dialled and listens on those that it
 * accepted, so one-way faults stay one-way; streams and bulk transfers have connections of their own, so heartbeats
 * never queue behind data.
 *
 * Invariants: at most one dialled control channel for each peer; a lost one is dialled again at once, because a
 * refused dial after a closed connection is the proof that the peer's process is gone.
 */
import debug from 'debug'
import type { LinkCause } from '../core/types.js'
import { HotspareError } from '../errors.js'
import type { Connection, Listener, TransportLimits } from '../interfaces/transport.js'
import type { Channel } from '../protocol/channel.js'
import { acceptChannel, dialChannel } from '../protocol/channel.js'
import type { Envelope } from '../protocol/envelope.js'
import { asEnvelope, envelope } from '../protocol/envelope.js'
import type { Refusal } from '../protocol/handshake.js'
import { HANDSHAKES_MAX, HandshakeGuard } from '../protocol/handshake-guard.js'
import type { Identity, Lane, OwnIdentity } from '../protocol/identity.js'
import type { HandshakeKey } from '../protocol/keys.js'
import { handshakeKey } from '../protocol/keys.js'
import { withAny } from './abort.js'
import type { NodeOptions } from './options.js'
import { libraryVersion } from './version.js'

const log = debug('hotspare:links')

/** Connections that a node accepts from each member: three lanes, and as many dying ones. */
const connectionsPerMember = 16
/**
 * Connections that nobody was proved for yet get room of their own, so that strangers never use up that of members: twice,
 * for those that TLS is still negotiated for, and twice more for those that were ended and still close.
 */
const connectionsOfStrangers = 4 * HANDSHAKES_MAX
/** The first dial after a failed one waits for so much of a heartbeat; each further one twice as long, up to a heartbeat. */
const firstRetryShare = 1 / 16
/** Bytes that may be queued on one connection before its sender waits. */
const sendBytesHigh = 512 * 1024

/** What the node does with what happens on its connections. */
export interface LinkHandlers {
  linkUp(peer: string, identity: Identity): void
  linkDown(peer: string, cause: LinkCause): void
  dialFailed(
    peer: string,
    cause: 'refused' | 'unreachable' | 'rejected',
    error: HotspareError,
  ): void
  received(from: string, message: Envelope): void
  /** A follower dialled; the channel delivers nothing before its receivers are set. */
  stream(channel: Channel): void
  bulk(channel: Channel): void
  /** A stranger or a peer was not let in, or did not let this node in; `untold` more since the last one that was told. */
  /** A member, or a stranger by its address, was refused or refuses; two with the same key are the same. */
  refused(key: string, peer: string, error: HotspareError): void
  /** Why this process of a member is not let in; undefined when it is. */
  refusal(identity: Identity): string | undefined
  /** Whoever proved to be this peer was met, on either side. */
  met(identity: Identity): void
}

interface PeerLink {
  readonly id: string
  readonly address: string
  channel: Channel | undefined
  upSinceMs: number
  timer: unknown
  /** How long to wait after the next failed dial: little after a loss, since a refused dial proves that the process is gone. */
  retryMs: number
  /** Of the last dial, while no connection stands. */
  failure: HotspareError | undefined
}

export class Links {
  readonly #options: NodeOptions
  readonly #identity: OwnIdentity
  readonly #handlers: LinkHandlers
  readonly #key: HandshakeKey
  readonly #limits: TransportLimits
  readonly #guard = new HandshakeGuard()
  readonly #peers = new Map<string, PeerLink>()
  readonly #accepted = new Set<Channel>()
  readonly #abort = new AbortController()
  #listener: Listener | undefined
  #nextId = 1
  #open = true

  constructor(options: NodeOptions, bootId: string, handlers: LinkHandlers) {
    this.#options = options
    this.#handlers = handlers
    const { id, cluster, members, policy, appVersion } = options
    const self = members.find((member) => member.id === id)
    this.#identity = {
      nodeId: id,
      bootId,
      kind: self?.observer === true ? 'observer' : 'member',
      cluster,
      libraryVersion,
      ...(appVersion === undefined ? {} : { appVersion }),
      features: [],
      fingerprints: policy.fingerprints(),
    }
    this.#key = handshakeKey(options.secret, cluster)
    this.#limits = {
      frameBytesMax: options.frameBytesMax,
      sendBytesHigh,
      connectionsMax: connectionsPerMember * members.length + connectionsOfStrangers,
    }
    for (const member of members) {
      if (member.id === id) continue
      this.#peers.set(member.id, {
        id: member.id,
        address: member.address,
        channel: undefined,
        upSinceMs: 0,
        timer: undefined,
        retryMs: this.#firstRetryMs,
        failure: undefined,
      })
    }
  }

  get #firstRetryMs(): number {
    return this.#options.heartbeatMs * firstRetryShare
  }

  /** The address that others reach this node at. */
  get address(): string | undefined {
    return this.#listener?.address
  }

  /** @throws `ADDRESS_IN_USE`, `OPTION_INVALID` */
  async listen(): Promise<void> {
    const { transport } = this.#options
    this.#listener = await transport.listen((connection) => this.#accept(connection), this.#limits)
  }

  /** Begins to dial all peers. */
  start(): void {
    for (const peer of this.#peers.values()) void this.#dialControl(peer)
  }

  /** Sends a control message; dropped when there is no link, as the network would. */
  send(to: string, type: string, body: unknown): boolean {
    const channel = this.#peers.get(to)?.channel
    if (channel === undefined) return false
    const { cluster, id } = this.#options
    const messageId = `${this.#identity.bootId}-${this.#nextId}`
    this.#nextId += 1
    channel.sendMessage(
      envelope({ cluster, id: messageId, origin: id, destination: to, type, body }),
    )
    return true
  }

  /** Whether a control link stands, and what is queued on it is below the limit. */
  hasRoom(to: string): boolean {
    const channel = this.#peers.get(to)?.channel
    return channel !== undefined && channel.queuedBytes < sendBytesHigh
  }

  /**
   * Dials a peer anew whose control link is older than `olderThanMs`. The old link stays until the new one stands: where
   * one direction is lost, it may be the only one over which this node is heard.
   */
  redial(to: string, olderThanMs: number): void {
    const peer = this.#peers.get(to)
    const nowMs = this.#options.clock.nowMs()
    if (peer?.channel === undefined || nowMs - peer.upSinceMs < olderThanMs) return
    peer.upSinceMs = nowMs
    void this.#replaceControl(peer, peer.channel)
  }

  async #replaceControl(peer: PeerLink, old: Channel): Promise<void> {
    try {
      const channel = await this.#dialInTime(peer)
      if (!this.#open || peer.channel !== old) return channel.destroy()
      this.#take(peer, channel)
      old.destroy()
    } catch (error) {
      // Refused: whoever had the other end is gone, and the old link ends as one that is reset.
      if (error instanceof HotspareError && error.code === 'PEER_REFUSED') old.destroy()
    }
  }

  /** Opens a stream or bulk lane to a peer. */
  async dial(peer: string, lane: Lane, signal: AbortSignal): Promise<Channel> {
    const link = this.#peers.get(peer)
    if (link === undefined) throw new HotspareError('PEER_UNREACHABLE', `${peer} is no member`)
    return await withAny([signal, this.#abort.signal], (either) =>
      dialChannel(this.#options.transport, link.address, {
        ...this.#handshake(),
        lane,
        limits: this.#limits,
        signal: either,
        admit: (identity) => this.#admitDialled(peer, identity),
      }),
    )
  }

  /** The process that answers at the address of a member; undefined while no connection to it stands. */
  processAt(id: string): string | undefined {
    return this.#peers.get(id)?.channel?.identity.bootId
  }

  /** Ends what other processes with the id of a member dialled. */
  endOthers(id: string, bootId: string): void {
    for (const channel of this.#accepted) {
      const { nodeId, bootId: other } = channel.identity
      if (nodeId === id && other !== bootId) channel.destroy()
    }
  }

  /** Why the last dial of this member failed; undefined while the connection to it stands. */
  failureOf(id: string): HotspareError | undefined {
    return this.#peers.get(id)?.failure
  }

  /** Ends all connections, then the listener: a refused dial says that this node is gone. */
  async close(): Promise<void> {
    this.#open = false
    this.#abort.abort()
    for (const peer of this.#peers.values()) {
      this.#options.clock.clearTimer(peer.timer)
      peer.channel?.close()
      peer.channel = undefined
    }
    for (const channel of this.#accepted) channel.close()
    await this.#listener?.close()
  }

  #handshake() {
    const { clock, random, handshakeMs, integrity } = this.#options
    return {
      key: this.#key,
      identity: this.#identity,
      clock,
      random,
      handshakeMs,
      bulkIntegrity: integrity,
    } as const
  }

  #admitDialled(expected: string, identity: Identity): Refusal | undefined {
    if (identity.nodeId === expected) return undefined
    return {
      reason: 'otherNode',
      message: `the address of ${expected} answers as ${identity.nodeId}`,
    }
  }

  #admit(identity: Identity): Refusal | undefined {
    const { nodeId } = identity
    if (this.#peers.has(nodeId)) {
      const twin = this.#handlers.refusal(identity)
      return twin === undefined ? undefined : { reason: 'duplicateId', message: twin }
    }
    const message =
      nodeId === this.#options.id
        ? `${nodeId} is the id of this node itself: two processes run under it`
        : `${nodeId} is no member of this cluster`
    return { reason: 'unknownMember', message }
  }

  async #dialControl(peer: PeerLink): Promise<void> {
    if (!this.#open) return
    try {
      const channel = await this.#dialInTime(peer)
      if (!this.#open) return channel.destroy()
      this.#take(peer, channel)
    } catch (error) {
      if (!this.#open) return
      this.#onDialFailed(peer, error)
    }
  }

  /** After a fault of the network a fresh attempt comes through sooner than an old one that backs off. */
  async #dialInTime(peer: PeerLink): Promise<Channel> {
    const { clock, deadMs } = this.#options
    const attempt = new AbortController()
    const timer = clock.setTimer(deadMs, () => attempt.abort())
    try {
      return await this.dial(peer.id, 'control', attempt.signal)
    } catch (error) {
      if (!attempt.signal.aborted) throw error
      const what = `${peer.address} did not answer within ${deadMs} ms`
      throw new HotspareError('PEER_UNREACHABLE', what, { cause: error })
    } finally {
      clock.clearTimer(timer)
    }
  }

  #take(peer: PeerLink, channel: Channel): void {
    peer.channel = channel
    peer.upSinceMs = this.#options.clock.nowMs()
    peer.failure = undefined
    peer.retryMs = this.#firstRetryMs
    channel.onMessage(() => undefined)
    channel.onClose((cause) => this.#onControlClosed(peer, channel, cause))
    this.#handlers.met(channel.identity)
    this.#handlers.linkUp(peer.id, channel.identity)
  }

  #onControlClosed(peer: PeerLink, channel: Channel, cause: LinkCause): void {
    if (peer.channel !== channel) return
    peer.channel = undefined
    if (!this.#open) return
    this.#handlers.linkDown(peer.id, cause)
    void this.#dialControl(peer)
  }

  #onDialFailed(peer: PeerLink, raw: unknown): void {
    const error =
      raw instanceof HotspareError
        ? raw
        : new HotspareError('PEER_UNREACHABLE', `dialling ${peer.id} failed`, { cause: raw })
    const { code } = error
    const cause =
      code === 'PEER_REFUSED'
        ? 'refused'
        : code.startsWith('HANDSHAKE')
          ? 'rejected'
          : 'unreachable'
    if (peer.failure?.code !== code)
      log('%s cannot reach %s: %s', this.#options.id, peer.id, error.message)
    peer.failure = error
    this.#handlers.dialFailed(peer.id, cause, error)
    const needsPerson = cause === 'rejected' || error.details.reason === 'setUp'
    if (needsPerson) this.#refuse(peer.id, `to ${peer.id}`, error)
    const { clock, heartbeatMs } = this.#options
    peer.timer = clock.setTimer(peer.retryMs, () => this.#dialAgain(peer))
    peer.retryMs = Math.min(2 * peer.retryMs, heartbeatMs)
  }

  #dialAgain(peer: PeerLink): void {
    this.#options.clock.clearTimer(peer.timer)
    peer.timer = undefined
    void this.#dialControl(peer)
  }

  #accept(connection: Connection): void {
    acceptChannel(connection, {
      ...this.#handshake(),
      limits: this.#limits,
      guard: this.#guard,
      admit: (identity) => this.#admit(identity),
    })
      .then((channel) => this.#onAccepted(channel))
      .catch((error: unknown) => this.#onRejected(connection, error))
  }

  #onRejected(connection: Connection, error: unknown): void {
    connection.destroy()
    if (!this.#open) return
    const { remote } = connection
    log('%s: the connection from %s ended: %o', this.#options.id, remote, error)
    if (!(error instanceof HotspareError)) return
    const failed = error.code === 'HANDSHAKE_FAILED' || error.code === 'HANDSHAKE_VERSION'
    // A port tells nobody apart: each attempt comes from another one.
    if (failed) this.#refuse(remote, `from ${remote.replace(/:\d+$/, '')}`, error)
  }

  #refuse(peer: string, whom: string, error: HotspareError): void {
    this.#handlers.refused(`${whom} ${error.code} ${String(error.details.reason)}`, peer, error)
  }

  #onAccepted(channel: Channel): void {
    if (!this.#open) return channel.destroy()
    let ofPeer = 0
    for (const old of this.#accepted) {
      if (old.closed) this.#accepted.delete(old)
      else if (old.identity.nodeId === channel.identity.nodeId) ofPeer += 1
    }
    if (ofPeer >= connectionsPerMember) return channel.destroy()
    this.#accepted.add(channel)
    this.#handlers.met(channel.identity)
    if (channel.lane === 'stream') return this.#handlers.stream(channel)
    if (channel.lane === 'bulk') return this.#handlers.bulk(channel)
    const from = channel.identity.nodeId
    const peer = this.#peers.get(from)
    // Whoever dials us can be dialled: what we wait for is over.
    if (peer?.timer !== undefined) this.#dialAgain(peer)
    channel.onMessage((raw) => {
      const message = asEnvelope(raw)
      const own =
        message.cluster === this.#options.cluster && message.destination === this.#options.id
      // Only the sender's own messages: relaying is for the healing of split brains.
      if (own && message.origin === from) this.#handlers.received(from, message)
    })
  }
}
