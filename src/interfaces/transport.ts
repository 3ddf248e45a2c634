/**
 * What a transport adapter offers to a node: ordered, reliable connections that carry whole frames.
 * It knows nothing of nodes, secrets or messages; authentication is done above it, for every
 * transport alike.
 */
export interface Transport {
  /** A short name for logs, for example `tcp`. */
  readonly name: string
  /**
   * Starts to accept connections.
   * @throws `ADDRESS_IN_USE` when the address is taken, `OPTION_INVALID` when it cannot be listened
   *   on.
   */
  listen(accept: (connection: Connection) => void, limits: TransportLimits): Promise<Listener>
  /**
   * Opens a connection.
   * @throws `PEER_REFUSED` when the peer's machine answered that nothing listens there, which
   *   proves that the process is gone. A dial that connected to itself, because the system chose
   *   the dialled port as its source port, is refused too.
   * @throws `RESOURCES_EXHAUSTED` where this process has no descriptors left
   * @throws `PEER_UNREACHABLE` for every other failure: with `details.reason` `setUp` where only a
   *   person can repair it, and with `details.answered` true where a process answered, for example
   *   one whose certificate is not trusted; `ABORTED` when `signal` aborted.
   */
  dial(address: string, limits: TransportLimits, signal?: AbortSignal): Promise<Connection>
  /**
   * Checks an address before anything is opened: throws when it can never be dialled. Optional.
   * @throws `OPTION_INVALID`
   */
  checkAddress?(address: string): void
}

/** Limits that a transport enforces, all in bytes or counts. */
export interface TransportLimits {
  /**
   * Longest frame accepted; a longer announced one closes the connection with the cause `protocol`.
   */
  readonly frameBytesMax: number
  /** Bytes queued for sending above which `send` answers false. */
  readonly sendBytesHigh: number
  /** Connections accepted at the same time; further ones are closed at once. */
  readonly connectionsMax: number
}

/** An open listener. */
export interface Listener {
  /** The address that peers dial, with the real port. */
  readonly address: string
  /** Stops accepting; afterwards dialling it is refused. Open connections stay. */
  close(): Promise<void>
}

/**
 * Why a connection ended: `closed` by either side in order; `reset` by the peer's machine, or ended
 * without a good-bye (`destroy()`, a dead process); `timeout`; `protocol` when a frame broke a
 * limit; `error` for all else.
 */
export type CloseCause = 'closed' | 'reset' | 'timeout' | 'protocol' | 'error'

/** One connection. Frames arrive whole, in order, once, or not at all after it ended. */
export interface Connection {
  /** The other end, for logs. */
  readonly remote: string
  /** True when the transport itself provides secrecy and integrity (TLS). */
  readonly secure: boolean
  /**
   * Bytes that both ends of this secure session share and no other session has (a TLS exporter).
   * The handshake proves them, so that no third party can relay between two secure sessions.
   */
  readonly binding?: Uint8Array
  /**
   * Queues one frame, made of the parts in order. The caller must not change the parts before
   * `taken` is called, which happens at most once, when the transport no longer needs them; a
   * transport that keeps them never calls it. Without `taken` the parts must never be changed. The
   * transport does not write into them. False means that the queue is above `sendBytesHigh`: await
   * `drained()` before the next frame. A frame sent on an ended connection is dropped.
   * @throws `FRAME_TOO_LARGE` when the frame is longer than the own `frameBytesMax`.
   */
  send(parts: readonly Uint8Array[], taken?: () => void): boolean
  /** Bytes queued and not yet given to the network. */
  readonly queuedBytes: number
  /** Resolves when the queue is below the limit, or the connection ended. */
  drained(): Promise<void>
  /**
   * Sets the receiver. Frames that arrive before are kept. A frame belongs to the receiver, which
   * may keep it, unless `lend` is set: then its bytes are valid until `receive` returns, and the
   * transport may reuse the memory.
   */
  onFrame(receive: (frame: Uint8Array) => void, lend?: boolean): void
  /**
   * Sets the listener of the end, called once, after all delivered frames; called soon when the
   * connection has ended already, but never from within `close()`, `destroy()` or this method.
   */
  onClose(closed: (cause: CloseCause) => void): void
  /**
   * Stops reading from the network, which puts back-pressure on the sender. Until `resume()` no
   * frame is delivered and the end of the other side is not noticed.
   */
  pause(): void
  /**
   * Continues after `pause()`; frames are never delivered from within this call. Without a pause it
   * does nothing.
   */
  resume(): void
  /**
   * Changes the longest accepted frame: small until the peer has proved the secret, so that an
   * unauthenticated peer costs little memory. Never above the `frameBytesMax` given at the start.
   */
  limitFrames(bytesMax: number): void
  /** Ends the connection. Queued frames are still sent, if the peer accepts them soon. */
  close(): void
  /** Ends the connection at once. */
  destroy(): void
}
