/**
 * Writes frames to a socket. Everything queued in one turn of the event loop, or while the last
 * write was under way, leaves in one `writev`. Short parts are copied into a shared buffer, long
 * ones are written as they are.
 */
import type { Socket } from 'node:net'
import { goodbye, headerBytes } from './frame-reader.js'

/**
 * Parts up to this length are copied, because that is cheaper than another element of the writev.
 */
const copyBytesMax = 2048
/** Bytes of the buffer for short parts. */
const scratchBytes = 32 * 1024

export class FrameWriter {
  readonly #socket: Socket
  readonly #onProgress: () => void
  #chunks: Uint8Array[] = []
  #scratch: Buffer = Buffer.alloc(0)
  #scratchStart = 0
  #scratchEnd = 0
  #pendingBytes = 0
  #writingBytes = 0
  /** Callbacks for when the parts queued so far are no longer needed. */
  #takers: (() => void)[] = []
  #scheduled = false
  #stopped = false

  /** @param onProgress - called after each completed write */
  constructor(socket: Socket, onProgress: () => void) {
    this.#socket = socket
    this.#onProgress = onProgress
  }

  /** Bytes not yet given to the network. */
  get queuedBytes(): number {
    return this.#pendingBytes + this.#writingBytes
  }

  /**
   * Queues one frame of `length` bytes in all.
   *
   * @param taken - called when the bytes were written to the socket; never after the end of the
   *   connection
   */
  push(parts: readonly Uint8Array[], length: number, taken?: () => void): void {
    if (taken !== undefined) this.#takers.push(taken)
    this.#header(length)
    for (const part of parts) {
      if (part.length > copyBytesMax) {
        this.#cut()
        this.#chunks.push(part)
      } else {
        this.#reserveScratch(part.length)
        this.#scratch.set(part, this.#scratchEnd)
        this.#scratchEnd += part.length
      }
    }
    this.#pendingBytes += headerBytes + length
    if (this.#scheduled || this.#writingBytes > 0) return
    this.#scheduled = true
    process.nextTick(this.#flush)
  }

  /** Writes the queued frames and the orderly end, then ends the sending side of the socket. */
  end(): void {
    this.#header(goodbye)
    this.#pendingBytes += headerBytes
    this.#write()
    this.#stopped = true
    this.#socket.end()
  }

  /** Drops what is queued. */
  stop(): void {
    this.#stopped = true
    this.#chunks = []
    this.#takers = []
    this.#pendingBytes = 0
    this.#writingBytes = 0
  }

  readonly #flush = (): void => {
    this.#scheduled = false
    if (!this.#stopped && this.#writingBytes === 0 && this.#pendingBytes > 0) this.#write()
  }

  #write(): void {
    this.#cut()
    const chunks = this.#chunks
    const bytes = this.#pendingBytes
    const takers = this.#takers
    this.#chunks = []
    this.#takers = []
    this.#pendingBytes = 0
    this.#writingBytes += bytes
    const last = chunks.length - 1
    if (last > 0) this.#socket.cork()
    for (let index = 0; index < last; index++) this.#socket.write(chunks[index]!)
    this.#socket.write(chunks[last]!, () => this.#written(bytes, takers))
    if (last > 0) this.#socket.uncork()
  }

  #written(bytes: number, takers: readonly (() => void)[]): void {
    if (this.#stopped) return
    for (const taken of takers) taken()
    this.#writingBytes -= bytes
    this.#flush()
    this.#onProgress()
  }

  #header(length: number): void {
    this.#reserveScratch(headerBytes)
    this.#scratch.writeUInt32BE(length, this.#scratchEnd)
    this.#scratchEnd += headerBytes
  }

  /**
   * Ensures `bytes` free bytes in the scratch buffer. Bytes written to it are never overwritten.
   */
  #reserveScratch(bytes: number): void {
    if (this.#scratchEnd + bytes <= this.#scratch.length) return
    this.#cut()
    this.#scratch = Buffer.allocUnsafeSlow(scratchBytes)
    this.#scratchStart = 0
    this.#scratchEnd = 0
  }

  #cut(): void {
    if (this.#scratchEnd === this.#scratchStart) return
    this.#chunks.push(this.#scratch.subarray(this.#scratchStart, this.#scratchEnd))
    this.#scratchStart = this.#scratchEnd
  }
}
