/**
 * The reads of a restore: stretches of files, many to a request, several requests in flight, within
 * the allowed bytes a second.
 *
 * Invariant: at most {@link requestsMax} requests are in flight, each of at most `batchBytes`.
 */
import type { Clock } from '../../interfaces/clock.js'
import type { BulkAnswer, BulkClient } from '../bulk/client.js'
import type { ReadStretch } from '../bulk/messages.js'
import { listedPathBytes, stretchResultBytesMax } from '../bulk/messages.js'
import type { StagedFile } from './staging.js'

/** Bytes requested at a time; more need further requests. */
const batchBytesMax = 512 * 1024
/**
 * With a limited rate, a request covers the bytes of this many seconds, but at least
 * `pacedBytesMin`.
 */
const pacedSeconds = 0.25
/** Bytes that a request covers at least when the rate is limited. */
const pacedBytesMin = 16 * 1024
/** Files in one request; more need further requests. */
const batchFilesMax = 512
/** Requests in flight at the same time; further ones wait. */
const requestsMax = 6

/** A batch of stretches, and the staged files that they belong to. */
export interface Batch {
  readonly stretches: ReadStretch[]
  readonly files: StagedFile[]
  bytes: number
  /** Bytes that its paths take in the request. */
  pathBytes: number
}

const emptyBatch = (): Batch => ({ stretches: [], files: [], bytes: 0, pathBytes: 0 })

export interface RestoreReadsOptions {
  readonly bulk: BulkClient
  readonly clock: Clock
  readonly signal: AbortSignal
  /** 0 means unlimited. */
  readonly bytesPerSecondMax: number
  /** Stores the answer to a batch. */
  store(batch: Batch, answer: BulkAnswer): Promise<void>
}

export class RestoreReads {
  readonly #options: RestoreReadsOptions
  readonly #inFlight = new Set<Promise<void>>()
  readonly #paceFromMs: number
  #pacedBytes = 0
  #failure: unknown
  #batch: Batch = emptyBatch()
  /** The most bytes of one request. */
  readonly batchBytes: number

  constructor(options: RestoreReadsOptions) {
    this.#options = options
    this.#paceFromMs = options.clock.nowMs()
    const rate = options.bytesPerSecondMax
    const paced = Math.max(pacedBytesMin, Math.floor(rate * pacedSeconds))
    const fitting = Math.max(1, Math.min(batchBytesMax, options.bulk.room - stretchResultBytesMax))
    this.batchBytes = rate > 0 ? Math.min(fitting, paced) : fitting
  }

  /** Requests the rest of a file, alone if it is large, else together with others. */
  async ask(file: StagedFile, size: number): Promise<void> {
    if (size - file.bytes > this.batchBytes) return this.#askLarge(file, size)
    const length = Math.max(0, size - file.bytes)
    const pathBytes = listedPathBytes(file.path)
    if (!this.#hasRoom(length, pathBytes)) await this.flush()
    this.#batch.stretches.push({ path: file.path, offset: file.bytes, length })
    this.#batch.files.push(file)
    this.#batch.bytes += length
    this.#batch.pathBytes += pathBytes
  }

  /** Whether one more stretch leaves both the request and its answer within a frame. */
  #hasRoom(length: number, listBytes: number): boolean {
    const { files, bytes, pathBytes } = this.#batch
    const { room } = this.#options.bulk
    if (files.length >= batchFilesMax || bytes + length > this.batchBytes) return false
    const answerBytes = bytes + length + (files.length + 1) * stretchResultBytesMax
    return pathBytes + listBytes <= room && answerBytes <= room
  }

  async #askLarge(file: StagedFile, size: number): Promise<void> {
    await this.flush()
    for (let offset = file.bytes; offset < size; offset += this.batchBytes) {
      const length = Math.min(this.batchBytes, size - offset)
      const stretches = [{ path: file.path, offset, length }]
      await this.#request({ ...emptyBatch(), stretches, files: [file], bytes: length })
      if (file.done) return
    }
  }

  /** Sends the request that is being collected. */
  async flush(): Promise<void> {
    const batch = this.#batch
    if (batch.files.length === 0) return
    this.#batch = emptyBatch()
    await this.#request(batch)
  }

  async #request(batch: Batch): Promise<void> {
    const { bulk, signal } = this.#options
    while (this.#inFlight.size >= requestsMax) await Promise.race(this.#inFlight)
    this.throwFailure()
    signal.throwIfAborted()
    await this.#pace(batch.bytes)
    const { stretches } = batch
    const requests = stretches.map(({ path, offset, length }) => [path, offset, length])
    const request = {
      op: 'read',
      requests: requests as unknown as ReadStretch[],
      holes: true,
    } as const
    const work = bulk
      .request(request, (answer) => {
        // Omitted zeros do not count towards the rate.
        this.#pacedBytes -= Math.max(0, batch.bytes - answer.bytes.length)
        return this.#options.store(batch, answer)
      })
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .finally(() => this.#inFlight.delete(work))
    this.#inFlight.add(work)
  }

  /** Keeps the rate below the limit by waiting before a request. */
  async #pace(bytes: number): Promise<void> {
    const { bytesPerSecondMax, clock } = this.#options
    if (bytesPerSecondMax <= 0) return
    const dueMs = this.#paceFromMs + (this.#pacedBytes / bytesPerSecondMax) * 1000
    this.#pacedBytes += bytes
    const waitMs = dueMs - clock.nowMs()
    if (waitMs > 0) await new Promise<void>((resolve) => clock.setTimer(waitMs, resolve))
  }

  /** Resolves when all answers are stored. */
  async settled(): Promise<void> {
    while (this.#inFlight.size > 0) await Promise.race(this.#inFlight)
    this.throwFailure()
  }

  /** @throws the first failure of a request */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}
