import { HotspareError } from '../errors.js'
import type { CloseCause, Connection, Transport, TransportLimits } from '../interfaces/transport.js'
import { decode, encode } from './codec.js'
import { type CheckMode, checkBytes, checkBytesMax, FrameCheck } from './frame-check.js'
import {
  type HandshakeOptions,
  handshakeAsDialer,
  handshakeAsListener,
  type Session,
} from './handshake.js'
import type { HandshakeGuard } from './handshake-guard.js'
import type { Identity, Lane } from './identity.js'

/** The type of frames that hold one encoded message. */
export const messageType = 0
const typeMax = 255
/** Bytes of a frame that are not payload, at most. */
const overheadBytes: number = 1 + checkBytesMax

/** Called when a channel ended. `error` is set when this side ended it because of an error. */
export type ChannelClosed = (cause: CloseCause, error?: HotspareError) => void

/**
 * An authenticated connection to a known peer: ordered frames, each with a type and a check.
 *
 * A receiver that throws a HotspareError, such as the `PROTOCOL_VIOLATION` of a shape check, ends
 * the channel with it.
 */
export interface Channel {
  /** Who the peer proved to be. */
  readonly identity: Identity
  readonly lane: Lane
  /** The version of the protocol that both speak. */
  readonly version: number
  /** The other end, for logs. */
  readonly remote: string
  /** Whether the connection is encrypted (TLS). */
  readonly secure: boolean
  /** Longest payload that this peer accepts, in bytes. */
  readonly payloadBytesMax: number
  /** Bytes queued and not yet given to the network. */
  readonly queuedBytes: number
  readonly closed: boolean
  /**
   * Sends a frame of a type from 1 to 255. The parts must not be changed before `taken` is called,
   * which may never happen. False means that the queue is above its limit: await `drained()`. On a
   * closed channel the frame is dropped.
   * @throws `FRAME_TOO_LARGE`
   */
  send(type: number, parts: readonly Uint8Array[], taken?: () => void): boolean
  /** Sends one message (a frame of type 0). @throws `FRAME_TOO_LARGE` */
  sendMessage(message: unknown): boolean
  /**
   * Sets the receiver of frames of types 1 to 255. A payload may be kept, but then keeps the whole
   * read buffer alive. With `lend`, which saves memory, it is valid only until `receive` returns.
   */
  onFrame(receive: (type: number, payload: Uint8Array) => void, lend?: boolean): void
  /** Sets the receiver of decoded messages, whose shape is not checked yet. */
  onMessage(receive: (message: unknown) => void): void
  /**
   * Sets the listener of the end, called once; soon, when the channel has ended already. Like
   * frames, the peer's end of the connection is not noticed before a receiver is set.
   */
  onClose(closed: ChannelClosed): void
  /** Resolves when the queue is below its limit, or the channel ended. */
  drained(): Promise<void>
  /** Stops and continues the delivery of frames; the peer's sender is then slowed down too. */
  pause(): void
  resume(): void
  /** Ends the channel; queued frames are still sent, if the peer accepts them soon. */
  close(): void
  /** Ends it at once. */
  destroy(): void
}

/** Options of {@link dialChannel}. */
export interface DialChannelOptions extends Omit<HandshakeOptions, 'frameBytesMax'> {
  readonly lane: Lane
  readonly limits: TransportLimits
}

/** Options of {@link acceptChannel}. */
export interface AcceptChannelOptions extends Omit<HandshakeOptions, 'frameBytesMax'> {
  readonly limits: TransportLimits
  /** Shared by all connections of a listener; limits the handshakes of unauthenticated peers. */
  readonly guard: HandshakeGuard
}

/**
 * Dials a peer and proves the secret to each other.
 *
 * No frame is delivered before `onFrame` or `onMessage` is called; a channel that uses both sets
 * them in the same turn of the event loop.
 *
 * @throws `PEER_REFUSED`, `PEER_UNREACHABLE`, `HANDSHAKE_FAILED` with `details.reason`,
 *   `HANDSHAKE_VERSION`, `CONNECTION_CLOSED`, `PROTOCOL_VIOLATION`, `FRAME_CORRUPT`, `ABORTED`
 */
export async function dialChannel(
  transport: Transport,
  address: string,
  options: DialChannelOptions,
): Promise<Channel> {
  const { limits, lane, signal } = options
  const connection = await transport.dial(address, limits, signal)
  const { frameBytesMax } = limits
  const session = await handshakeAsDialer(connection, lane, { ...options, frameBytesMax })
  return new SessionChannel(session, frameBytesMax)
}

/**
 * Runs the handshake on a connection that a listener accepted; call it from within that callback.
 * When the peer is refused it ends the connection and rejects.
 *
 * @throws as {@link dialChannel}, without the first two
 */
export async function acceptChannel(
  connection: Connection,
  options: AcceptChannelOptions,
): Promise<Channel> {
  const { frameBytesMax } = options.limits
  const session = await handshakeAsListener(connection, { ...options, frameBytesMax })
  return new SessionChannel(session, frameBytesMax)
}

class SessionChannel implements Channel {
  readonly identity: Identity
  readonly lane: Lane
  readonly version: number
  readonly payloadBytesMax: number
  readonly #connection: Connection
  readonly #outgoing: FrameCheck
  readonly #incoming: FrameCheck
  readonly #mode: CheckMode
  readonly #bulkMode: CheckMode
  /** One byte for each type, made when it is first used. */
  readonly #typeBytes: Uint8Array[] = []
  #receiveFrame: ((type: number, payload: Uint8Array) => void) | undefined
  #receiveMessage: ((message: unknown) => void) | undefined
  #closed: ChannelClosed | undefined
  #cause: CloseCause | undefined
  #error: HotspareError | undefined
  #paused = false
  #started = false

  constructor(session: Session, frameBytesMax: number) {
    const { connection } = session
    this.identity = session.peer
    this.lane = session.lane
    this.version = session.version
    const bytesMax = Math.min(frameBytesMax, session.peer.limits.frameBytesMax)
    this.payloadBytesMax = Math.max(0, bytesMax - overheadBytes)
    this.#connection = connection
    this.#outgoing = new FrameCheck(session.sendKeys)
    this.#incoming = new FrameCheck(session.receiveKeys)
    // Without a secret anyone can derive the keys, so a MAC would protect no more than a cheaper
    // CRC.
    this.#mode = connection.secure ? 'none' : session.hasSecret ? 'mac' : 'crc'
    const weaker = session.lane === 'bulk' && session.bulkIntegrity === 'crc'
    this.#bulkMode = weaker && this.#mode === 'mac' ? 'crc' : this.#mode
    connection.onFrame((frame) => this.#receive(frame))
    connection.onClose((cause) => this.#end(cause))
  }

  get remote(): string {
    return this.#connection.remote
  }

  get secure(): boolean {
    return this.#connection.secure
  }

  get queuedBytes(): number {
    return this.#connection.queuedBytes
  }

  get closed(): boolean {
    return this.#cause !== undefined
  }

  send(type: number, parts: readonly Uint8Array[], taken?: () => void): boolean {
    if (!Number.isInteger(type) || type <= messageType || type > typeMax) {
      throw new TypeError(`a frame type is a whole number from 1 to ${typeMax}, not ${type}`)
    }
    return this.#send(type, parts, taken)
  }

  sendMessage(message: unknown): boolean {
    return this.#send(messageType, [encode(message)])
  }

  onFrame(receive: (type: number, payload: Uint8Array) => void, lend: boolean = false): void {
    this.#receiveFrame = receive
    if (lend) this.#connection.onFrame((frame) => this.#receive(frame), true)
    this.#start()
  }

  onMessage(receive: (message: unknown) => void): void {
    this.#receiveMessage = receive
    this.#start()
  }

  onClose(closed: ChannelClosed): void {
    this.#closed = closed
    if (this.#cause !== undefined) queueMicrotask(() => this.#tell())
  }

  drained(): Promise<void> {
    return this.#connection.drained()
  }

  pause(): void {
    this.#paused = true
    this.#connection.pause()
  }

  resume(): void {
    this.#paused = false
    if (this.#started) this.#connection.resume()
  }

  close(): void {
    this.#connection.close()
  }

  destroy(): void {
    this.#connection.destroy()
  }

  /**
   * The handshake leaves the connection paused, so that no frame arrives before a receiver is set.
   */
  #start(): void {
    this.#started = true
    if (!this.#paused) this.#connection.resume()
  }

  #modeOf(type: number): CheckMode {
    return type === messageType ? this.#mode : this.#bulkMode
  }

  #send(type: number, parts: readonly Uint8Array[], taken?: () => void): boolean {
    let length = 0
    for (const part of parts) length += part.length
    if (length > this.payloadBytesMax) throw tooLarge(length, this.payloadBytesMax)
    if (this.#cause !== undefined) return true
    const check = this.#outgoing.make(this.#modeOf(type), type, parts, length)
    this.#typeBytes[type] ??= Uint8Array.of(type)
    return this.#connection.send([this.#typeBytes[type], ...parts, check], taken)
  }

  #receive(frame: Uint8Array): void {
    if (this.#cause !== undefined || this.#error !== undefined) return
    const type = frame[0] ?? messageType
    const mode = this.#modeOf(type)
    const end = Math.max(1, frame.length - checkBytes(mode))
    const payload = frame.subarray(1, end)
    if (frame.length < 1 || !this.#incoming.verify(mode, type, payload, frame.subarray(end))) {
      this.#fail(corrupt(this.identity.nodeId))
      return
    }
    try {
      this.#dispatch(type, payload)
    } catch (error) {
      if (!(error instanceof HotspareError)) throw error
      this.#fail(error)
    }
  }

  #dispatch(type: number, payload: Uint8Array): void {
    if (type !== messageType) {
      if (this.#receiveFrame === undefined) throw unexpected(`a frame of type ${type}`)
      this.#receiveFrame(type, payload)
    } else {
      if (this.#receiveMessage === undefined) throw unexpected('a message')
      this.#receiveMessage(decode(payload))
    }
  }

  #fail(error: HotspareError): void {
    this.#error = error
    this.#connection.destroy()
  }

  #end(cause: CloseCause): void {
    this.#cause = this.#error === undefined ? cause : 'protocol'
    this.#tell()
  }

  #tell(): void {
    const closed = this.#closed
    if (closed === undefined || this.#cause === undefined) return
    this.#closed = undefined
    closed(this.#cause, this.#error)
  }
}

function tooLarge(actual: number, limit: number): HotspareError {
  return new HotspareError('FRAME_TOO_LARGE', `a payload of ${actual} bytes exceeds ${limit}`, {
    details: { option: 'frameBytesMax', limit, actual },
  })
}

function corrupt(nodeId: string): HotspareError {
  return new HotspareError('FRAME_CORRUPT', `a frame from ${nodeId} fails its check`, {
    details: { nodeId },
  })
}

function unexpected(what: string): HotspareError {
  return new HotspareError(
    'PROTOCOL_VIOLATION',
    `the peer sent ${what}, but this channel has no receiver for it`,
  )
}
