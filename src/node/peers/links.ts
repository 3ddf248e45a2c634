/**
 * The connections between nodes. Each node dials every other one, and control messages go in both
 * directions on any open control connection. Streams and bulk transfers have connections of their
 * own, so that heartbeats never queue behind data.
 *
 * Invariants: there is at most one dialled control connection to each peer; a lost one is dialled
 * again at once, because a refused dial after a closed connection proves that the peer's process
 * has ended.
 */
import debug from 'debug'
import type { CoreMessage } from '../../core/state/messages.js'
import type { LinkCause } from '../../core/state/types.js'
import { HotspareError } from '../../errors.js'
import type { Listener, TransportLimits } from '../../interfaces/transport.js'
import type { Channel } from '../../protocol/channel.js'
import { dialChannel } from '../../protocol/channel.js'
import type { Envelope } from '../../protocol/envelope.js'
import { asEnvelope, isOfLaterVersion } from '../../protocol/envelope.js'
import type { Refusal } from '../../protocol/handshake.js'
import { defaultHandshakesMax } from '../../protocol/handshake-guard.js'
import type { Identity, Lane, OwnIdentity } from '../../protocol/identity.js'
import type { HandshakeKey } from '../../protocol/keys.js'
import { handshakeKey } from '../../protocol/keys.js'
import { sharedController, withAny } from '../../util/abort.js'
import type { NodeOptions } from '../contract/options.js'
import { libraryVersion } from '../contract/version.js'
import {
  AcceptedConnections,
  type AdmissionReports,
  connectionsPerMember,
  refusalKey,
} from './accepted.js'
import { isAnswer } from './answers.js'
import { ControlLane, historyOnce, sendBytesHigh } from './control-lane.js'
import type { LinkReports } from './peer-link.js'
import { PeerLink } from './peer-link.js'

const log = debug('hotspare:links')

/**
 * Connections whose peer is not authenticated yet, which have a limit of their own, so that
 * strangers cannot use up the connections of members: twice the number of handshakes while TLS is
 * negotiated, and as many for closed ones that have not ended yet. Further ones are closed at once.
 */
const connectionsOfStrangers = 4 * defaultHandshakesMax
/**
 * The delay of the first dial after a failed one, as a share of a heartbeat. Each further delay
 * doubles, up to one heartbeat.
 */
const firstRetryShare = 1 / 16

/** Handlers for events on the connections. */
export interface LinkHandlers extends LinkReports, AdmissionReports {
  dialFailed(
    peer: string,
    cause: 'refused' | 'unreachable' | 'rejected',
    error: HotspareError,
  ): void
  core(from: string, message: CoreMessage): void
  /** A message that is not for the core. */
  received(from: string, message: Envelope): void
  /**
   * A follower opened a stream or bulk lane. The channel delivers nothing before its receivers are
   * set.
   */
  stream(channel: Channel): void
  bulk(channel: Channel): void
  /** A peer has authenticated, on a connection of either side. */
  met(identity: Identity): void
}

export class Links {
  readonly #options: NodeOptions
  readonly #identity: OwnIdentity
  readonly #handlers: LinkHandlers
  readonly #key: HandshakeKey
  readonly #limits: TransportLimits
  readonly #peers = new Map<string, PeerLink>()
  readonly #accepted: AcceptedConnections
  readonly #abort = sharedController()
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
      features: [historyOnce],
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
      const link = new PeerLink(member.id, member.address, this.#firstRetryMs, handlers)
      this.#peers.set(member.id, link)
    }
    this.#accepted = new AcceptedConnections({
      nodeId: id,
      peers: this.#peers,
      reports: handlers,
      handshake: { ...this.#handshake(), limits: this.#limits },
      opened: (channel) => this.#onAccepted(channel),
    })
  }

  get #firstRetryMs(): number {
    return this.#options.heartbeatMs * firstRetryShare
  }

  /** The address at which others reach this node. */
  get address(): string | undefined {
    return this.#listener?.address
  }

  /** @throws `ADDRESS_IN_USE`, `OPTION_INVALID` */
  async listen(): Promise<void> {
    const { transport } = this.#options
    this.#listener = await transport.listen(
      (connection) => this.#accepted.accept(connection),
      this.#limits,
    )
  }

  /** Starts to dial all peers. */
  start(): void {
    for (const peer of this.#peers.values()) void this.#dialControl(peer)
  }

  /** Sends a control message. Without a link it is dropped. */
  send(to: string, type: string, body: unknown): boolean {
    const lane = this.#peers.get(to)?.speaking
    if (lane === undefined) return false
    lane.send({ ...this.#address(to), type, body })
    return true
  }

  /**
   * Sends a message of the core. It is dropped without a link, and above the limit of the queue.
   */
  sendCore(to: string, message: CoreMessage): void {
    this.#peers.get(to)?.speaking?.sendCore({ ...this.#address(to), type: 'core' }, message)
  }

  #address(destination: string) {
    const { cluster, id: origin } = this.#options
    const id = `${this.#identity.bootId}-${this.#nextId}`
    this.#nextId += 1
    return { cluster, id, origin, destination }
  }

  /** Whether a control link is open and its queue is below the limit. */
  hasRoom(to: string): boolean {
    return this.#peers.get(to)?.speaking?.hasRoom() ?? false
  }

  /**
   * Dials a peer again whose control link is older than `olderThanMs`. The old link stays open
   * until the new one is, because it may be the only one on which this node is heard when one
   * direction of the network fails.
   */
  redial(to: string, olderThanMs: number): void {
    const peer = this.#peers.get(to)
    const nowMs = this.#options.clock.nowMs()
    if (peer?.dialled === undefined || nowMs - peer.upSinceMs < olderThanMs) return
    peer.upSinceMs = nowMs
    peer.isDoubted = true
    void this.#replaceControl(peer, peer.dialled)
  }

  async #replaceControl(peer: PeerLink, old: ControlLane): Promise<void> {
    try {
      const channel = await this.#dialInTime(peer)
      if (!this.#open || peer.dialled !== old) return channel.destroy()
      this.#take(peer, channel)
      old.channel.destroy()
    } catch (error) {
      // A refused dial proves that the process at the other end has ended, so the old link ends
      // like a reset one.
      if (error instanceof HotspareError && error.code === 'PEER_REFUSED') old.channel.destroy()
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

  /**
   * The boot id of the process at the address of a member; undefined without an open connection to
   * it.
   */
  processAt(id: string): string | undefined {
    return this.#peers.get(id)?.dialled?.channel.identity.bootId
  }

  /** Closes the connections dialled by other processes with the id of a member. */
  endOthers(id: string, bootId: string): void {
    this.#accepted.endOthers(id, bootId)
  }

  /** Why the last dial of this member failed; undefined while the connection is open. */
  failureOf(id: string): HotspareError | undefined {
    return this.#peers.get(id)?.failure
  }

  /**
   * Closes all connections and then the listener, because refused dials prove that this node has
   * ended.
   */
  async close(): Promise<void> {
    this.#open = false
    this.#abort.abort()
    for (const peer of this.#peers.values()) {
      this.#options.clock.clearTimer(peer.timer)
      peer.close()
    }
    this.#accepted.close()
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

  /**
   * Dials with a short time-out, because after a network fault a new attempt succeeds sooner than
   * an old one that backs off.
   */
  async #dialInTime(peer: PeerLink): Promise<Channel> {
    const { clock, deadMs } = this.#options
    const attempt = new AbortController()
    const timer = clock.setTimer(deadMs, () => attempt.abort())
    try {
      return await this.dial(peer.id, 'control', attempt.signal)
    } catch (error) {
      if (!attempt.signal.aborted || !this.#open) throw error
      const what = `${peer.address} did not answer within ${deadMs} ms`
      throw new HotspareError('PEER_UNREACHABLE', what, { cause: error })
    } finally {
      clock.clearTimer(timer)
    }
  }

  #take(peer: PeerLink, channel: Channel): void {
    const lane = new ControlLane(channel)
    this.#listen(peer, lane)
    channel.onClose((cause) => this.#onControlClosed(peer, lane, cause))
    this.#handlers.met(channel.identity)
    peer.dial(lane, this.#options.clock.nowMs(), this.#firstRetryMs)
  }

  #onControlClosed(peer: PeerLink, lane: ControlLane, cause: LinkCause): void {
    if (!this.#open || !peer.dialEnded(lane, cause)) return
    void this.#dialControl(peer)
  }

  #listen(peer: PeerLink, lane: ControlLane): void {
    // Frames on a control connection come from later versions and are ignored.
    lane.channel.onFrame(() => undefined)
    lane.channel.onMessage((raw) => {
      if (isOfLaterVersion(raw)) return
      const message = asEnvelope(raw)
      const { cluster, id } = this.#options
      // Only messages of the sender itself are accepted; relaying is reserved for healing a split
      // brain.
      if (message.cluster !== cluster || message.destination !== id) return
      if (message.origin !== peer.id || !this.#open) return
      if (message.type !== 'core') return this.#handlers.received(peer.id, message)
      const core = lane.readCore(message)
      // A message in flight on another connection may be older than what is known.
      if (!peer.isNext(message, lane.bootId)) return
      if (core !== undefined) this.#handlers.core(peer.id, core)
    })
  }

  #onDialFailed(peer: PeerLink, raw: unknown): void {
    const error =
      raw instanceof HotspareError
        ? raw
        : new HotspareError('PEER_UNREACHABLE', `dialling ${peer.id} failed`, { cause: raw })
    const { code } = error
    const cause = code === 'PEER_REFUSED' ? 'refused' : isAnswer(error) ? 'rejected' : 'unreachable'
    if (peer.failure?.code !== code)
      log('%s cannot reach %s: %s', this.#options.id, peer.id, error.message)
    const { clock, heartbeatMs, deadMs } = this.#options
    const heardOnly = peer.dialFailed(error, clock.nowMs(), deadMs)
    this.#handlers.dialFailed(peer.id, cause, error)
    const needsPerson =
      heardOnly ||
      cause === 'rejected' ||
      code.startsWith('HANDSHAKE') ||
      error.details.reason === 'setUp'
    if (needsPerson) {
      this.#handlers.refused(refusalKey(`to ${peer.id}`, error), peer.id, error)
    }
    peer.timer = clock.setTimer(peer.retryMs, () => this.#dialAgain(peer))
    peer.retryMs = Math.min(2 * peer.retryMs, heartbeatMs)
  }

  #dialAgain(peer: PeerLink): void {
    this.#options.clock.clearTimer(peer.timer)
    peer.timer = undefined
    void this.#dialControl(peer)
  }

  /** A member has dialled and was admitted. */
  #onAccepted(channel: Channel): void {
    this.#handlers.met(channel.identity)
    if (channel.lane === 'stream') return this.#handlers.stream(channel)
    if (channel.lane === 'bulk') return this.#handlers.bulk(channel)
    const peer = this.#peers.get(channel.identity.nodeId)
    if (peer === undefined) return channel.destroy()
    const lane = new ControlLane(channel)
    this.#listen(peer, lane)
    channel.onClose((cause) => {
      if (this.#open) peer.acceptEnded(lane, cause)
    })
    const isOther = peer.accept(lane)
    // A member that dials this node can probably be dialled as well, so the wait ends.
    if (peer.timer !== undefined) this.#dialAgain(peer)
    else if (isOther) this.redial(peer.id, this.#options.heartbeatMs)
  }
}
