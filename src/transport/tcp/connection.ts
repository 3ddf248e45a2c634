import type { Socket } from 'node:net'
import { HotspareError } from '../../errors.js'
import type { CloseCause, Connection, TransportLimits } from '../../interfaces/transport.js'
import type { FrameReader } from './frame-reader.js'
import { FrameWriter } from './frame-writer.js'

/**
 * How long `close()` waits for the peer to accept queued frames, in milliseconds; then the
 * connection is cut.
 */
const closeGraceMs = 1_000

/** The parts of a connection. The socket is connected already. */
export interface TcpConnectionParts {
  readonly socket: Socket
  readonly reader: FrameReader
  /** Whether the socket reads straight into the reader (`onread`) instead of emitting `data`. */
  readonly readsIntoReader: boolean
  readonly limits: TransportLimits
  readonly remote: string
  /** The exporter of the TLS session; undefined without TLS. */
  readonly binding: Uint8Array | undefined
}

/**
 * A connection over one socket.
 *
 * Invariants: frames are delivered only while a receiver is set and the connection is neither
 * paused nor ending; the socket is read only then, or while no bytes wait for delivery; the
 * listener of the end is called once, after the last frame.
 */
export class TcpConnection implements Connection {
  readonly remote: string
  readonly secure: boolean
  readonly binding?: Uint8Array
  readonly #socket: Socket
  readonly #reader: FrameReader
  readonly #writer: FrameWriter
  readonly #limits: TransportLimits
  #receive: ((frame: Uint8Array) => void) | undefined
  #closed: ((cause: CloseCause) => void) | undefined
  #cause: CloseCause | undefined
  #drainWaiters: (() => void)[] = []
  #paused = false
  #delivering = false
  #scheduled = false
  #closing = false
  #goodbye = false
  #closeTimer: NodeJS.Timeout | undefined

  constructor(parts: TcpConnectionParts) {
    this.#socket = parts.socket
    this.#reader = parts.reader
    this.#limits = parts.limits
    this.remote = parts.remote
    this.secure = parts.binding !== undefined
    if (parts.binding !== undefined) this.binding = parts.binding
    this.#writer = new FrameWriter(parts.socket, () => this.#releaseWaiters())
    const socket = parts.socket
    if (!parts.readsIntoReader) {
      socket.on('data', (chunk: Buffer) => {
        this.#reader.push(chunk)
        this.received()
      })
    }
    socket.on('end', () => this.#finish(this.#goodbye ? 'closed' : 'reset'))
    socket.on('error', (error: NodeJS.ErrnoException) => this.#finish(causeOf(error)))
    socket.on('close', () => this.#finish(this.#goodbye ? 'closed' : 'reset'))
    if (socket.destroyed) this.#finish('reset')
    else socket.resume()
  }

  get queuedBytes(): number {
    return this.#writer.queuedBytes
  }

  send(parts: readonly Uint8Array[], taken?: () => void): boolean {
    let length = 0
    for (const part of parts) length += part.length
    if (length > this.#limits.frameBytesMax) throw tooLarge(length, this.#limits.frameBytesMax)
    if (this.#closing || this.#cause !== undefined) return true
    this.#writer.push(parts, length, taken)
    return this.#writer.queuedBytes <= this.#limits.sendBytesHigh
  }

  drained(): Promise<void> {
    if (this.#cause !== undefined || this.queuedBytes <= this.#limits.sendBytesHigh) {
      return Promise.resolve()
    }
    return new Promise((resolve) => this.#drainWaiters.push(resolve))
  }

  onFrame(receive: (frame: Uint8Array) => void, lend: boolean = false): void {
    this.#receive = receive
    this.#reader.lends = lend
    this.#schedule()
  }

  onClose(closed: (cause: CloseCause) => void): void {
    this.#closed = closed
    if (this.#cause !== undefined) queueMicrotask(() => this.#tell())
  }

  pause(): void {
    if (this.#paused || this.#closing) return
    this.#paused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#schedule()
  }

  limitFrames(bytesMax: number): void {
    this.#reader.frameBytesMax = Math.min(bytesMax, this.#limits.frameBytesMax)
  }

  close(): void {
    if (this.#closing || this.#cause !== undefined) return
    this.#closing = true
    // Incoming bytes are read and dropped, because unread bytes would turn the end into a reset,
    // and the peer would lose the frames queued for it.
    this.#reader.discard()
    this.#socket.resume()
    this.#writer.end()
    this.#closeTimer = setTimeout(() => this.#finish('closed'), closeGraceMs)
  }

  destroy(): void {
    this.#finish('closed')
  }

  /** Call when the reader got bytes. */
  received(): void {
    if (this.#closing || this.#cause !== undefined) this.#reader.discard()
    else this.#deliver()
  }

  #deliver(): void {
    if (this.#delivering) return
    this.#delivering = true
    try {
      while (this.#receive !== undefined && !this.#paused && !this.#halted()) {
        const result = this.#reader.next()
        if (result === 'partial') break
        if (typeof result === 'string') this.#stopReading(result)
        else this.#receive(result)
      }
    } finally {
      this.#delivering = false
    }
    if (this.#receive === undefined && this.#reader.holdsBytes) this.#socket.pause()
  }

  #stopReading(why: 'goodbye' | 'tooLong'): void {
    this.#reader.discard()
    if (why === 'goodbye') this.#goodbye = true
    this.#finish(why === 'goodbye' ? 'closed' : 'protocol')
  }

  #halted(): boolean {
    return this.#closing || this.#cause !== undefined
  }

  /**
   * Delivers waiting frames and continues reading, in a later tick and not within the caller's
   * call.
   */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    process.nextTick(() => {
      this.#scheduled = false
      if (this.#halted() || this.#paused) return
      this.#deliver()
      if (this.#receive !== undefined && !this.#paused && !this.#halted()) this.#socket.resume()
    })
  }

  #finish(cause: CloseCause): void {
    if (this.#cause !== undefined) return
    this.#cause = this.#closing ? 'closed' : cause
    clearTimeout(this.#closeTimer)
    this.#reader.discard()
    this.#writer.stop()
    this.#socket.destroy()
    this.#releaseWaiters()
    queueMicrotask(() => this.#tell())
  }

  #tell(): void {
    const closed = this.#closed
    if (closed === undefined || this.#cause === undefined) return
    this.#closed = undefined
    closed(this.#cause)
  }

  #releaseWaiters(): void {
    if (this.#cause === undefined && this.queuedBytes > this.#limits.sendBytesHigh) return
    const waiters = this.#drainWaiters
    this.#drainWaiters = []
    for (const resolve of waiters) resolve()
  }
}

function causeOf(error: NodeJS.ErrnoException): CloseCause {
  if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return 'reset'
  return error.code === 'ETIMEDOUT' ? 'timeout' : 'error'
}

function tooLarge(actual: number, limit: number): HotspareError {
  return new HotspareError('FRAME_TOO_LARGE', `a frame of ${actual} bytes exceeds ${limit} bytes`, {
    details: { option: 'frameBytesMax', limit, actual },
  })
}
