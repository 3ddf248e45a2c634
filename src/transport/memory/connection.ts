import { HotspareError } from '../../errors.js'
import type { CloseCause, Connection, TransportLimits } from '../../interfaces/transport.js'
import type { Link } from './link.js'
import { Pipe, type PipeItem } from './pipe.js'
import type { Scheduler } from './scheduler.js'

/** Fills lent frames after the receiver's call. */
const spoiledByte = 0xdd

/**
 * One end of a connection. Everything that it sends, including its end, goes through its pipe, so
 * that a blocked link delays all of it alike.
 */
export class MemoryConnection implements Connection {
  readonly remote: string
  readonly secure: boolean
  readonly link: Link
  readonly limits: TransportLimits
  /** Set after both ends are constructed. */
  peer!: MemoryConnection
  readonly #pipe: Pipe
  readonly #onEnd: (connection: MemoryConnection) => void
  #frameBytesMax: number
  #receive: ((frame: Uint8Array) => void) | undefined
  #lends = false
  #closed: ((cause: CloseCause) => void) | undefined
  #cause: CloseCause | undefined
  #dead = false
  #lost = false
  #paused = false
  #drainWaiters: (() => void)[] = []

  /** @param onEnd - called when this end has ended, for any reason */
  constructor(
    link: Link,
    limits: TransportLimits,
    secure: boolean,
    scheduler: Scheduler,
    onEnd: (connection: MemoryConnection) => void,
  ) {
    this.link = link
    this.limits = limits
    this.secure = secure
    this.remote = link.to.address
    this.#onEnd = onEnd
    this.#frameBytesMax = limits.frameBytesMax
    const way = {
      blocked: () => link.blocked(),
      frozen: () => link.to.frozen,
      delayMs: (bytes: number) => link.delayMs(bytes),
    }
    this.#pipe = new Pipe(way, scheduler, () => this.#releaseWaiters())
  }

  get queuedBytes(): number {
    return this.#pipe.bytes
  }

  /** Whether anything that this end sent has not arrived. */
  get busy(): boolean {
    return this.#pipe.busy
  }

  get ended(): boolean {
    return this.#cause !== undefined || this.#dead
  }

  send(parts: readonly Uint8Array[], taken?: () => void): boolean {
    let length = 0
    for (const part of parts) length += part.length
    if (length > this.limits.frameBytesMax) throw tooLarge(length, this.limits.frameBytesMax)
    if (this.ended) return true
    const frame = join(parts, length)
    taken?.()
    const { peer } = this
    if (this.link.loses()) this.sendEvent(() => this.breakBoth())
    else {
      this.#pipe.push({
        bytes: length + 4,
        ready: () => peer.#takesFrames(),
        deliver: () => peer.#arrive(frame),
      })
    }
    return this.#pipe.bytes <= this.limits.sendBytesHigh
  }

  drained(): Promise<void> {
    if (this.ended || this.#pipe.bytes <= this.limits.sendBytesHigh) return Promise.resolve()
    return new Promise((resolve) => this.#drainWaiters.push(resolve))
  }

  onFrame(receive: (frame: Uint8Array) => void, lend: boolean = false): void {
    this.#receive = receive
    this.#lends = lend
    this.peer.#pipe.wake()
  }

  onClose(closed: (cause: CloseCause) => void): void {
    this.#closed = closed
    if (this.#cause !== undefined) queueMicrotask(() => this.#tell())
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.peer.#pipe.wake()
  }

  limitFrames(bytesMax: number): void {
    this.#frameBytesMax = Math.min(bytesMax, this.limits.frameBytesMax)
  }

  close(): void {
    if (this.ended) return
    this.sendEnd('closed')
    this.end('closed')
  }

  destroy(): void {
    if (this.ended) return
    this.#pipe.clear()
    this.sendEnd('reset')
    this.end('closed')
  }

  /** Ends this end and calls its listener. */
  end(cause: CloseCause): void {
    if (this.ended) return
    this.#cause = cause
    this.#leave()
    queueMicrotask(() => this.#tell())
  }

  /**
   * Ends this end without notifying the peer; what the peer sends on the connection is not
   * delivered.
   */
  lose(): void {
    if (this.ended) return
    this.#lost = true
    this.end('reset')
  }

  /** The process is gone: this end has no further effect and calls no listener. */
  die(): void {
    if (this.ended) return
    this.#dead = true
    this.#leave()
  }

  /** Sends the end of this side, after everything sent before. */
  sendEnd(cause: CloseCause): void {
    const { peer } = this
    this.#push({ bytes: 0, ready: () => !peer.#paused, deliver: () => peer.end(cause) })
  }

  /** Sends an event, which is delivered without a receiver. */
  sendEvent(arrive: () => void): void {
    this.#push({ bytes: 0, ready: () => true, deliver: arrive })
  }

  /** Ends both ends at once, whether or not the links are blocked. */
  breakBoth(): void {
    this.end('reset')
    this.peer.end('reset')
  }

  /** Drops what this end sent and has not arrived. */
  dropSent(): void {
    this.#pipe.clearRest()
  }

  /** Call before the link of this end is blocked. */
  wayBlocks(inFlight: boolean): void {
    this.#pipe.blocks(inFlight)
  }

  /** Call after the quality of the link changed. */
  qualityChanged(): void {
    this.#pipe.hurry()
  }

  /** Call when the link of this end may be unblocked. */
  wayChanged(): void {
    this.#pipe.wake()
  }

  #push(item: PipeItem): void {
    this.#pipe.push(item)
  }

  #takesFrames(): boolean {
    if (this.#lost) return false
    return this.ended || (!this.#paused && this.#receive !== undefined)
  }

  #arrive(frame: Uint8Array): void {
    if (this.ended) return
    if (frame.length > this.#frameBytesMax) {
      this.#pipe.clear()
      this.sendEnd('reset')
      this.end('protocol')
    } else {
      this.#receive?.(frame)
      // Overwritten, so that a use after the call is noticed.
      if (this.#lends) frame.fill(spoiledByte)
    }
  }

  /** What the peer still sends is dropped; what this end sent stays in transit. */
  #leave(): void {
    this.#releaseWaiters()
    this.peer.#pipe.wake()
    this.#onEnd(this)
  }

  #tell(): void {
    const closed = this.#closed
    if (closed === undefined || this.#cause === undefined || this.#dead) return
    this.#closed = undefined
    closed(this.#cause)
  }

  #releaseWaiters(): void {
    if (!this.ended && this.#pipe.bytes > this.limits.sendBytesHigh) return
    const waiters = this.#drainWaiters
    this.#drainWaiters = []
    for (const resolve of waiters) resolve()
  }
}

/** Joins the parts in a copy, because the receiver owns its frame. */
function join(parts: readonly Uint8Array[], length: number): Uint8Array {
  const frame = Buffer.allocUnsafe(length)
  let at = 0
  for (const part of parts) {
    frame.set(part, at)
    at += part.length
  }
  return frame
}

function tooLarge(actual: number, limit: number): HotspareError {
  return new HotspareError('FRAME_TOO_LARGE', `a frame of ${actual} bytes exceeds ${limit} bytes`, {
    details: { option: 'frameBytesMax', limit, actual },
  })
}
