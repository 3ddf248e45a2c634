/**
 * Splits a stream of bytes into frames: a length of four bytes, big-endian, then that many bytes.
 *
 * Invariants:
 * - `buffer[start, end)` contains the bytes read and not yet returned by `next()`;
 * - a byte of a returned frame is never overwritten, so receivers may keep frames; with `lends` it
 *   may be, after the receiver's call;
 * - memory is bounded by the bytes that arrived (at most four times as many, or `growBytes`), never
 *   by an announced length.
 */

/** Bytes in front of each frame. */
export const headerBytes = 4
/** A length that marks an orderly end. A connection that ends without it was cut. */
export const goodbye = 0xffff_ffff

/** Initial size of a connection's read buffer, in bytes. */
const readBufferBytesMin = 16 * 1024
/**
 * Size up to which that buffer grows, each time a read fills it; a longer frame gets a buffer of
 * its own.
 */
const readBufferBytesMax = 256 * 1024
/** Least free bytes of a buffer for the next read; with less, a new buffer is allocated. */
const freeBytesMin = 4 * 1024
/** Least size of the buffer for a frame that does not fit; it grows as the bytes arrive. */
const growBytes = 64 * 1024
const noBytes = Buffer.alloc(0)

/**
 * The result of {@link FrameReader.next}: a frame, no complete frame yet, or the end of all frames.
 */
export type ReadResult = Buffer | 'partial' | 'goodbye' | 'tooLong'

export class FrameReader {
  /** Longest frame accepted; the connection changes it. */
  frameBytesMax: number
  /** Whether receivers use a frame only during their call, so that its memory may be reused. */
  lends = false
  #buffer: Buffer = noBytes
  #start = 0
  #end = 0
  #readBufferBytes = readBufferBytesMin
  #longestSeen = 0
  /**
   * Bytes behind a frame that was assembled in `#buffer`; they become the buffer once that frame is
   * returned.
   */
  #rest: Buffer = noBytes

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax
  }

  /** Whether bytes wait to be returned. */
  get holdsBytes(): boolean {
    return this.#end > this.#start
  }

  /** The memory for the next read; {@link commit} then gives the number of bytes read. */
  reserve(): Buffer {
    if (this.lends && !this.holdsBytes) {
      this.#start = 0
      this.#end = 0
    }
    const room = this.#buffer.length - this.#end
    const missing = this.#missing()
    const completes = this.holdsBytes && missing > 0 && missing <= room
    if (!completes && (room < freeBytesMin || (missing > room && this.#start > 0))) {
      this.#grow(this.#readBufferBytes)
    }
    return this.#buffer.subarray(this.#end)
  }

  /** Reports that `count` bytes were read into the memory of {@link reserve}. */
  commit(count: number): void {
    const filled = this.#end + count === this.#buffer.length
    this.#end += count
    if (filled) this.#readBufferBytes = Math.min(this.#readBufferBytes * 4, readBufferBytesMax)
  }

  /** Accepts a chunk that the socket allocated; frames within it are not copied. */
  push(chunk: Buffer): void {
    let rest = chunk
    while (this.holdsBytes && rest.length > 0) {
      const count = Math.min(this.#missing(), rest.length)
      if (count === 0) break
      if (this.#buffer.length - this.#end < count) this.#grow(0)
      const fits = Math.min(count, this.#buffer.length - this.#end)
      rest.copy(this.#buffer, this.#end, 0, fits)
      this.#end += fits
      rest = rest.subarray(fits)
    }
    // A paused connection leaves whole frames waiting; later bytes queue behind them.
    this.#rest = this.#rest.length > 0 ? Buffer.concat([this.#rest, rest]) : rest
    this.#takeRest()
  }

  /** Returns the next frame, or why there is none. */
  next(): ReadResult {
    const waiting = this.#end - this.#start
    if (waiting < headerBytes) return 'partial'
    const length = this.#buffer.readUInt32BE(this.#start)
    if (length > this.frameBytesMax) return length === goodbye ? 'goodbye' : 'tooLong'
    if (waiting < headerBytes + length) return 'partial'
    const from = this.#start + headerBytes
    this.#start = from + length
    const frame = this.#buffer.subarray(from, this.#start)
    if (length > this.#longestSeen) this.#longestSeen = length
    this.#takeRest()
    return frame
  }

  /** Drops all bytes. */
  discard(): void {
    this.#rest = noBytes
    this.#start = this.#end
  }

  #takeRest(): void {
    if (this.holdsBytes || this.#rest.length === 0) return
    this.#buffer = this.#rest
    this.#start = 0
    this.#end = this.#rest.length
    this.#rest = noBytes
  }

  /** Bytes missing for the first frame, as far as known; 0 when it is complete. */
  #missing(): number {
    const waiting = this.#end - this.#start
    if (waiting < headerBytes) return headerBytes - waiting
    const length = this.#buffer.readUInt32BE(this.#start)
    // next() reports an unacceptable length without further bytes.
    if (length > this.frameBytesMax) return 0
    return Math.max(0, headerBytes + length - waiting)
  }

  /** Moves the waiting bytes to the front of a larger buffer. */
  #grow(bytesMin: number): void {
    const waiting = this.#end - this.#start
    const wanted = waiting + this.#missing()
    const trusted = Math.max(growBytes, 4 * waiting, this.#longestSeen + headerBytes)
    const bytes = Math.max(bytesMin, Math.min(wanted, trusted), waiting + headerBytes)
    const isLarge = this.lends && this.#buffer.length >= bytes
    const grown = isLarge ? this.#buffer : Buffer.allocUnsafeSlow(bytes)
    this.#buffer.copy(grown, 0, this.#start, this.#end)
    this.#buffer = grown
    this.#start = 0
    this.#end = waiting
  }
}
