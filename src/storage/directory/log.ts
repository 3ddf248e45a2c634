/**
 * One log: a file that is written at its end and synced with each append.
 *
 * Invariants:
 * - `bytes` counts durable bytes; an append counts when it has resolved.
 * - The file is `bytes` long, or longer and filled with zeros (preallocated space, see below).
 * - Nothing is written, and no append resolves, while another process may have the lock.
 * - After a failed append or truncate nothing more is written: the state of the file is unknown,
 *   and a second fsync after a failed one may succeed although bytes were dropped.
 *
 * Two things make a single append fast. The file is opened with O_DSYNC, so that one trip to the
 * thread pool writes and syncs. And a small append that extends the file writes zeros behind its
 * own bytes to preallocate space: the following appends change no metadata of the file, which saves
 * a third of their time.
 */

import { close as closeFile, constants, fdatasync, ftruncate, read, write, writev } from 'node:fs'
import type { Log } from '../../interfaces/storage.js'
import { storageFailed } from '../failure.js'
import { checkCount, checkLimit, logBytesMax } from '../limits.js'
import type { CallGate } from './base/call-gate.js'
import { noFollow } from './base/durable.js'
import { errnoOf, storageError } from './base/fs-error.js'

/** Appends up to this size preallocate space; larger ones gain nothing from it. */
const preallocateBelowBytes = 16 * 1024
/** Space is preallocated up to the next multiple of this. */
const preallocateBytes = 256 * 1024
/**
 * Appends up to this size are joined in one buffer; above it, copying costs more than a vector
 * write.
 */
const joinBelowBytes = 64 * 1024
/**
 * Buffers in one vector write; more are joined in one buffer. No operating system has a lower
 * limit.
 */
const vectorMax = 1024

/**
 * Whether O_DSYNC is used. Linux honours it; elsewhere it is missing, or guarantees less than
 * fdatasync does.
 */
const writesThrough = process.platform === 'linux' && constants.O_DSYNC !== undefined

/** The flags that a log's file is opened with. */
export const logFlags: number =
  constants.O_RDWR | constants.O_CREAT | noFollow | (writesThrough ? constants.O_DSYNC : 0)

const zeros: Buffer = Buffer.alloc(preallocateBytes)

/** Callbacks of a log into the storage that opened it. */
export interface LogHooks {
  /** Whether the storage still has its lock. */
  readonly isHeld: () => Promise<boolean>
  /** The log was closed. */
  readonly closed: () => void
  /** Frees the space reserved on the device; false when there was none. */
  readonly makeRoom: () => boolean
}

/** A log whose file is open. */
export class DirectoryLog implements Log {
  readonly #fd: number
  readonly #path: string
  readonly #gate: CallGate
  readonly #hooks: LogHooks
  readonly #joined = Buffer.allocUnsafeSlow(joinBelowBytes)
  #bytes: number
  /** The length of the file; zeros from `#bytes` on. */
  #fileBytes: number
  #busy = false
  #ended: string | undefined

  constructor(fd: number, path: string, bytes: number, gate: CallGate, hooks: LogHooks) {
    this.#fd = fd
    this.#path = path
    this.#bytes = bytes
    this.#fileBytes = bytes
    this.#gate = gate
    this.#hooks = hooks
  }

  get bytes(): number {
    return this.#bytes
  }

  append(parts: readonly Uint8Array[]): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#begin()
      let length = 0
      for (const part of parts) length += part.byteLength
      try {
        checkLimit(length, logBytesMax, 'the append, in bytes')
      } catch (error) {
        this.#end()
        throw error
      }
      const done = (error: Error | null): void => {
        if (error === null) this.#bytes += length
        else this.#fail('an append failed')
        this.#end()
        if (error === null) resolve()
        else reject(storageError(error, 'cannot append to the log', this.#path))
      }
      const write = (): void =>
        this.#write(this.#buffersOf(parts, length), length, (error) => {
          // This process may have been suspended during the write, and have lost the lock.
          if (error === null) this.#whenLockConfirmed(() => done(null), done)
          else done(error)
        })
      this.#whenLockConfirmed(write, done)
    })
  }

  /** Continues at once, or after the lock has been renewed if another process may have taken it. */
  #whenLockConfirmed(goOn: () => void, fail: (error: Error) => void): void {
    const confirmed = this.#gate.confirmLock()
    if (confirmed === undefined) goOn()
    else confirmed.then(goOn, fail)
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    checkCount(offset, 'the offset')
    const wanted = Math.max(0, Math.min(length, this.#bytes - offset))
    checkLimit(wanted, logBytesMax, 'the read, in bytes')
    if (this.#ended === 'it was closed') throw this.#refusal()
    this.#gate.enter()
    try {
      const target = Buffer.allocUnsafeSlow(wanted)
      let done = 0
      while (done < wanted) {
        const count = await this.#readInto(target, done, offset + done)
        if (count === 0) break
        done += count
      }
      return target.subarray(0, done)
    } catch (error) {
      throw storageError(error, 'cannot read the log', this.#path)
    } finally {
      this.#gate.leave()
    }
  }

  async truncate(bytes: number): Promise<void> {
    checkCount(bytes, 'the length to cut to')
    checkLimit(bytes, this.#bytes, 'the length to cut to')
    this.#begin()
    try {
      await this.#gate.confirmLock()
      await this.#cut(bytes)
      await call((done) => fdatasync(this.#fd, done))
      this.#bytes = bytes
    } catch (error) {
      this.#fail('a truncate failed')
      throw storageError(error, 'cannot cut the log', this.#path)
    } finally {
      this.#end()
    }
  }

  async close(): Promise<void> {
    if (this.#ended === 'it was closed') return
    if (this.#busy) throw storageFailed(`the log ${this.#path} is closed while it is written`)
    const intact = this.#ended === undefined
    this.#ended = 'it was closed'
    try {
      // Not synced: if the cut is lost, zeros remain, which a reader must expect anyway. This is
      // the only write while the storage refuses all others, and the lock is checked first, because
      // after its loss the file may contain bytes of the next holder.
      const isCut = intact && this.#fileBytes > this.#bytes && (await this.#hooks.isHeld())
      if (isCut) await this.#cut(this.#bytes)
    } catch (error) {
      throw storageError(error, 'cannot cut the log', this.#path)
    } finally {
      await call((done) => closeFile(this.#fd, done)).catch(() => undefined)
      this.#hooks.closed()
    }
  }

  #begin(): void {
    if (this.#ended !== undefined) throw this.#refusal()
    if (this.#busy) throw storageFailed(`the log ${this.#path} is busy: one append at a time`)
    this.#gate.enter()
    this.#busy = true
  }

  #end(): void {
    this.#busy = false
    this.#gate.leave()
  }

  #fail(why: string): void {
    this.#ended ??= `${why}, and it must be opened again`
  }

  #refusal(): Error {
    return storageFailed(`the log ${this.#path} is not usable: ${this.#ended}`, this.#path)
  }

  /**
   * The buffers to write: joined where copying is cheap, followed by zeros where preallocation
   * pays.
   */
  #buffersOf(parts: readonly Uint8Array[], length: number): Uint8Array[] {
    let buffers: Uint8Array[]
    if (parts.length === 1) {
      buffers = [parts[0]!]
    } else if (length <= joinBelowBytes || parts.length > vectorMax) {
      buffers = [join(parts, length, this.#joined)]
    } else {
      buffers = parts.filter((part) => part.byteLength > 0)
    }
    const end = this.#bytes + length
    if (length <= preallocateBelowBytes && end > this.#fileBytes) {
      const room = preallocateBytes - (end % preallocateBytes)
      buffers.push(zeros.subarray(0, room))
    }
    return buffers
  }

  /** Writes and syncs; calls `done` once the first `needed` bytes are durable. */
  #write(buffers: Uint8Array[], needed: number, done: (error: Error | null) => void): void {
    const start = this.#bytes
    let rest = buffers
    let written = 0
    const finish = (): void => {
      this.#fileBytes = Math.max(this.#fileBytes, start + written)
      if (writesThrough) done(null)
      else fdatasync(this.#fd, done)
    }
    const step = (error: Error | null, count: number): void => {
      written += error === null ? count : 0
      if (error === null && written >= needed) {
        finish()
        return
      }
      if (error === null && count === 0) {
        done(storageFailed('the device wrote no bytes', this.#path))
        return
      }
      if (error !== null) {
        // Without space for the preallocation, the bytes themselves may still fit.
        const isFull = errnoOf(error) === 'ENOSPC' || errnoOf(error) === 'EDQUOT'
        const alone = isFull ? withoutZeros(rest, needed - written) : undefined
        // Otherwise the same bytes are written again after space was freed, not only synced,
        // because the failed attempt may have dropped them.
        if (alone === undefined && !(isFull && this.#hooks.makeRoom())) {
          done(error)
          return
        }
        rest = alone ?? rest
      } else {
        rest = skip(rest, count)
      }
      this.#put(rest, start + written, step)
    }
    if (needed === 0) done(null)
    else this.#put(rest, start, step)
  }

  #put(
    buffers: readonly Uint8Array[],
    position: number,
    done: (error: Error | null, count: number) => void,
  ): void {
    const only = buffers.length === 1 ? buffers[0] : undefined
    if (only === undefined) writev(this.#fd, buffers, position, done)
    else write(this.#fd, only, 0, only.byteLength, position, done)
  }

  #readInto(target: Buffer, start: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#fd, target, start, target.byteLength - start, position, (error, count) => {
        if (error === null) resolve(count)
        else reject(error)
      })
    })
  }

  async #cut(bytes: number): Promise<void> {
    await call((done) => ftruncate(this.#fd, bytes, done))
    this.#fileBytes = bytes
  }
}

/** Promisifies a call whose callback has only an error. */
function call(start: (done: (error: Error | null) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start((error) => {
      if (error === null || error === undefined) resolve()
      else reject(error)
    })
  })
}

/**
 * Joins the parts in one buffer: in `scratch` when they fit, which is safe because only one append
 * is under way.
 */
function join(parts: readonly Uint8Array[], length: number, scratch: Buffer): Buffer {
  const target = length <= scratch.byteLength ? scratch : Buffer.allocUnsafeSlow(length)
  let offset = 0
  for (const part of parts) {
    target.set(part, offset)
    offset += part.byteLength
  }
  return target.subarray(0, length)
}

/** The buffers without their first `count` bytes. */
function skip(buffers: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = []
  let left = count
  for (const buffer of buffers) {
    if (left < buffer.byteLength) rest.push(left === 0 ? buffer : buffer.subarray(left))
    left = Math.max(0, left - buffer.byteLength)
  }
  return rest
}

/** The first `needed` bytes of the buffers; undefined when there are no more than those. */
function withoutZeros(buffers: readonly Uint8Array[], needed: number): Uint8Array[] | undefined {
  let length = 0
  for (const buffer of buffers) length += buffer.byteLength
  if (length <= needed) return undefined
  const kept: Uint8Array[] = []
  let left = needed
  for (const buffer of buffers) {
    if (left > 0) kept.push(left < buffer.byteLength ? buffer.subarray(0, left) : buffer)
    left -= buffer.byteLength
  }
  return kept
}
