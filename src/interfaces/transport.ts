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
   * @throws `PEER_REFUSED` when the peer's machine answered that nobody listens there: proof that
   *   the process is gone. A dial that met itself, since it went out from the very port that it
   *   dialled, is refused too.
   * @throws `RESOURCES_EXHAUSTED` where this process has no descriptors left
   * @throws `PEER_UNREACHABLE` for every other failure, with `details.reason` `setUp` where only a
   *   person can mend it, and `details.answered` true where somebody answered there, whose
   *   certificate for example is not trusted; `ABORTED` when `signal` aborted.
   */
  dial(address: string, limits: TransportLimits, signal?: AbortSignal): Promise<Connection>
  /**
   * Tells before anything is opened that an address cannot be dialled, whatever runs there.
   * Optional.
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
  /** True when the transport itself gives secrecy and integrity (TLS). */
  readonly secure: boolean
  /**
   * Bytes that belong to this secure session alone and are the same at both ends (a TLS exporter).
   * The handshake proves them too, so that nobody can sit between two secure sessions.
   */
  readonly binding?: Uint8Array
  /**
   * Queues one frame, made of the parts in order. The parts must not be changed before `taken` is
   * called, which happens once, when the transport needs them no more; a transport may keep them
   * for ever, and never call it. Without `taken` they must never be changed. The transport itself
   * never writes into them. False says that the queue is above `sendBytesHigh`: wait for
   * `drained()` before the next one. A frame sent on an ended connection is dropped.
   * @throws `FRAME_TOO_LARGE` when the frame is longer than the own `frameBytesMax`.
   */
  send(parts: readonly Uint8Array[], taken?: () => void): boolean
  /** Bytes queued and not yet given to the network. */
  readonly queuedBytes: number
  /** Resolves when the queue is below the limit, or the connection ended. */
  drained(): Promise<void>
  /**
   * Sets the receiver. Frames that arrive before it is set are kept. A frame belongs to the
   * receiver, which may keep it; unless `lend` is set: then its bytes are good until `receive`
   * returns, and the transport may read the next frames into the same memory.
   */
  onFrame(receive: (frame: Uint8Array) => void, lend?: boolean): void
  /**
   * Sets the one who is told of the end, once, after all delivered frames; told at once when it has
   * ended already. Never called from within `close()`, `destroy()` or this method.
   */
  onClose(closed: (cause: CloseCause) => void): void
  /**
   * Stops reading from the network (back-pressure to the sender). No frame is delivered, and no end
   * of the other side is noticed, until `resume()`; it never delivers from within that call.
   */
  pause(): void
  /** Reads on after `pause()`; without one it does nothing. */
  resume(): void
  /**
   * Changes the longest frame that is accepted from now on: a small one until the peer has proved
   * itself, so that a stranger costs little. Never above the `frameBytesMax` given at the start.
   */
  limitFrames(bytesMax: number): void
  /** Ends the connection; queued frames are still tried for a moment. */
  close(): void
  /** Ends the connection at once. */
  destroy(): void
}
