import { HotspareError } from '../errors.js'
import type { Clock, TimerHandle } from '../interfaces/clock.js'
import type { CloseCause, Connection } from '../interfaces/transport.js'
import { onAbort } from '../util/abort.js'

/** Options of one exchange. */
export interface ExchangeOptions {
  readonly clock: Clock
  /** Milliseconds for the whole handshake. */
  readonly handshakeMs: number
  readonly signal?: AbortSignal | undefined
}

/**
 * Exchanges single frames on a connection, under one deadline. Between two calls of `next()` the
 * connection is paused: a peer cannot make this side buffer more than one frame, and frames that
 * follow the handshake stay unread until the channel resumes the connection.
 */
export class FrameExchange {
  readonly #connection: Connection
  readonly #options: ExchangeOptions
  readonly #timer: TimerHandle
  readonly #unlisten: () => void
  #frame: Uint8Array | undefined
  #failure: HotspareError | undefined
  #wake: (() => void) | undefined
  #sentLastFrame = false

  constructor(connection: Connection, options: ExchangeOptions) {
    this.#connection = connection
    this.#options = options
    connection.onFrame((frame) => {
      connection.pause()
      this.#frame = frame
      this.#wake?.()
    })
    connection.onClose((cause) => this.#fail(ended(connection, cause)))
    this.#timer = options.clock.setTimer(options.handshakeMs, () => {
      this.#fail(late(connection, options.handshakeMs))
    })
    const { signal } = options
    this.#unlisten = onAbort(signal, (by) => this.#fail(givenUp(connection, by)))
    if (signal?.aborted === true) this.#fail(givenUp(connection, signal))
  }

  /**
   * The next frame. @throws what ended the exchange: `CONNECTION_CLOSED`, `HANDSHAKE_FAILED`,
   * `ABORTED`
   */
  async next(): Promise<Uint8Array> {
    if (this.#frame === undefined && this.#failure === undefined) {
      this.#connection.resume()
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const frame = this.#frame
    this.#frame = undefined
    if (frame === undefined) throw this.#failure
    return frame
  }

  send(frame: Uint8Array): void {
    this.#connection.send([frame])
  }

  /**
   * Sends a last frame, and makes {@link end} close the connection in order, so that the frame
   * arrives.
   */
  sendLast(frame: Uint8Array): void {
    this.#sentLastFrame = true
    this.send(frame)
  }

  /** Ends the connection. */
  end(): void {
    this.abandon()
    if (this.#sentLastFrame) this.#connection.close()
    else this.#connection.destroy()
  }

  /** Ends the exchange with this error, which `next()` then throws. */
  fail(error: HotspareError): void {
    this.#fail(error)
  }

  /**
   * Hands the paused connection over to the caller. @throws the error that ended the exchange
   * meanwhile
   */
  release(): void {
    this.abandon()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Cancels the deadline and the listener of the signal. */
  abandon(): void {
    this.#options.clock.clearTimer(this.#timer)
    this.#unlisten()
  }

  #fail(error: HotspareError): void {
    if (this.#failure !== undefined) return
    this.#failure = error
    this.#connection.destroy()
    this.#wake?.()
  }
}

function ended(connection: Connection, cause: CloseCause): HotspareError {
  return new HotspareError(
    cause === 'protocol' ? 'PROTOCOL_VIOLATION' : 'CONNECTION_CLOSED',
    `the connection to ${connection.remote} ended during the handshake (${cause})`,
    { details: { cause } },
  )
}

function givenUp(connection: Connection, signal: AbortSignal): HotspareError {
  const message = `the handshake with ${connection.remote} was aborted`
  return new HotspareError('ABORTED', message, { cause: signal.reason })
}

function late(connection: Connection, handshakeMs: number): HotspareError {
  return new HotspareError(
    'HANDSHAKE_FAILED',
    `${connection.remote} did not finish the handshake within ${handshakeMs} ms`,
    {
      retryable: true,
      details: { reason: 'timeout', limit: handshakeMs, option: 'handshakeMs' },
      whatToDo: 'Check what listens there, and the network between the two; the dial is repeated.',
    },
  )
}
