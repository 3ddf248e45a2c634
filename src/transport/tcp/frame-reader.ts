/**
 * Cuts a stream of bytes into frames: a length of four bytes, big-endian, then that many bytes.
 *
 * Invariants:
 * - `buffer[start, end)` is what was read and not yet handed out;
 * - a byte that was handed out is never written again, so receivers may keep frames; unless they
 *   agreed to look at each only during the call (`lends`);
 * - memory held follows the bytes that really arrived (at most four times as many, or
 *   `growBytes`), never a length that was only announced.
 */

/** Bytes in front of each frame. */
export const headerBytes = 4
/** In place of a length: the sender ends in order. A connection that ends without it was cut. */
export const goodbye = 0xffff_ffff

/** Bytes of the buffer that a connection begins to read into. */
const slabBytesMin = 16 * 1024
/**
 * Bytes to which that buffer grows while it is filled in one go; a longer frame gets one of its
 * own.
 */
const slabBytesMax = 256 * 1024
/** Room that is left in a buffer at least for the next read; with less, a new one is made. */
const roomBytesMin = 4 * 1024
/** How much a buffer grows at least for a frame that does not fit, as its bytes come in. */
const growBytes = 64 * 1024
const noBytes = Buffer.alloc(0)

/** What {@link FrameReader.next} found: a frame, nothing whole yet, or the end of all frames. */
export type ReadResult = Buffer | 'partial' | 'goodbye' | 'tooLong'

export class FrameReader {
  /** Longest frame accepted; the connection changes it. */
  frameBytesMax: number
  /** Whether frames that were handed out are done with, and their memory is read into again. */
  lends = false
  #buffer: Buffer = noBytes
  #start = 0
  #end = 0
  #slabBytes = slabBytesMin
  #longestSeen = 0
  /**
   * What follows a frame that had to be assembled; it becomes the buffer once that is handed out.
   */
  #rest: Buffer = noBytes

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax
  }

  /** Whether bytes wait to be handed out. */
  get holdsBytes(): boolean {
    return this.#end > this.#start
  }

  /** Where the next bytes may be read into; {@link commit} says how many were. */
  reserve(): Buffer {
    if (this.lends && !this.holdsBytes) {
      this.#start = 0
      this.#end = 0
    }
    const room = this.#buffer.length - this.#end
    const missing = this.#missing()
    const completes = this.holdsBytes && missing > 0 && missing <= room
    if (!completes && (room < roomBytesMin || (missing > room && this.#start > 0))) {
      this.#grow(this.#slabBytes)
    }
    return this.#buffer.subarray(this.#end)
  }

  /** `count` bytes were read into what {@link reserve} gave. */
  commit(count: number): void {
    const filled = this.#end + count === this.#buffer.length
    this.#end += count
    if (filled) this.#slabBytes = Math.min(this.#slabBytes * 4, slabBytesMax)
  }

  /** Takes over a chunk that somebody else allocated; frames within it are not copied. */
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
    // Whole frames wait here when the connection is paused; what came behind them waits behind
    // them.
    this.#rest = this.#rest.length > 0 ? Buffer.concat([this.#rest, rest]) : rest
    this.#takeRest()
  }

  /** The next frame, or why there is none. */
  next(): ReadResult {
    const held = this.#end - this.#start
    if (held < headerBytes) return 'partial'
    const length = this.#buffer.readUInt32BE(this.#start)
    if (length > this.frameBytesMax) return length === goodbye ? 'goodbye' : 'tooLong'
    if (held < headerBytes + length) return 'partial'
    const from = this.#start + headerBytes
    this.#start = from + length
    const frame = this.#buffer.subarray(from, this.#start)
    if (length > this.#longestSeen) this.#longestSeen = length
    this.#takeRest()
    return frame
  }

  /** Forgets everything; what arrives from now on is not wanted. */
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

  /** Bytes missing for the first frame held, as far as it is known; 0 when it is whole. */
  #missing(): number {
    const held = this.#end - this.#start
    if (held < headerBytes) return headerBytes - held
    const length = this.#buffer.readUInt32BE(this.#start)
    // An unacceptable length is reported by next(): nothing more is needed for that.
    if (length > this.frameBytesMax) return 0
    return Math.max(0, headerBytes + length - held)
  }

  /** Moves what is held to the front of a larger buffer. */
  #grow(bytesMin: number): void {
    const held = this.#end - this.#start
    const wanted = held + this.#missing()
    const trusted = Math.max(growBytes, 4 * held, this.#longestSeen + headerBytes)
    const bytes = Math.max(bytesMin, Math.min(wanted, trusted), held + headerBytes)
    const isLarge = this.lends && this.#buffer.length >= bytes
    const grown = isLarge ? this.#buffer : Buffer.allocUnsafeSlow(bytes)
    this.#buffer.copy(grown, 0, this.#start, this.#end)
    this.#buffer = grown
    this.#start = 0
    this.#end = held
  }
}
