/**
 * The reads of a restore: stretches of files, many to a request, several requests under way, and no
 * more bytes a second than is allowed.
 *
 * Invariant: at most {@link requestsMax} requests are under way, each of at most `batchBytes`.
 */
import type { Clock } from '../../interfaces/clock.js'
import type { BulkAnswer, BulkClient } from '../bulk/client.js'
import type { ReadStretch } from '../bulk/messages.js'
import { listedPathBytes, stretchResultBytesMax } from '../bulk/messages.js'
import type { StagedFile } from './staging.js'

/** Bytes asked for in one request; more take further requests. */
const batchBytesMax = 512 * 1024
/**
 * With a limited rate a request asks for what may come in so many seconds, but for no less than so
 * many bytes.
 */
const pacedSeconds = 0.25
/** The least that such a request asks for. */
const pacedBytesMin = 16 * 1024
/** Files in one request; more take further requests. */
const batchFilesMax = 512
/** Requests under way at the same time; further ones wait. */
const requestsMax = 6

/** A batch of stretches, and the staged files that they belong to. */
export interface Batch {
  readonly stretches: ReadStretch[]
  readonly files: StagedFile[]
  bytes: number
  /** Bytes of its paths in the request. */
  pathBytes: number
}

const emptyBatch = (): Batch => ({ stretches: [], files: [], bytes: 0, pathBytes: 0 })

export interface ReadsOptions {
  readonly bulk: BulkClient
  readonly clock: Clock
  readonly signal: AbortSignal
  /** 0: as fast as it goes. */
  readonly bytesPerSecondMax: number
  /** Takes the answer to a batch. */
  store(batch: Batch, answer: BulkAnswer): Promise<void>
}

export class Reads {
  readonly #options: ReadsOptions
  readonly #under = new Set<Promise<void>>()
  readonly #paceFromMs: number
  #pacedBytes = 0
  #failure: unknown
  #batch: Batch = emptyBatch()
  /** Bytes asked for in one request, at most. */
  readonly batchBytes: number

  constructor(options: ReadsOptions) {
    this.#options = options
    this.#paceFromMs = options.clock.nowMs()
    const rate = options.bytesPerSecondMax
    const paced = Math.max(pacedBytesMin, Math.floor(rate * pacedSeconds))
    const fitting = Math.max(1, Math.min(batchBytesMax, options.bulk.room - stretchResultBytesMax))
    this.batchBytes = rate > 0 ? Math.min(fitting, paced) : fitting
  }

  /** Asks for what is left of a file. */
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

  /** Sends what was gathered for a request. */
  async flush(): Promise<void> {
    const batch = this.#batch
    if (batch.files.length === 0) return
    this.#batch = emptyBatch()
    await this.#request(batch)
  }

  async #request(batch: Batch): Promise<void> {
    const { bulk, signal } = this.#options
    while (this.#under.size >= requestsMax) await Promise.race(this.#under)
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
        // Holes that were left out took none of the rate.
        this.#pacedBytes -= Math.max(0, batch.bytes - answer.bytes.length)
        return this.#options.store(batch, answer)
      })
      .catch((error: unknown) => {
        this.#failure ??= error
      })
      .finally(() => this.#under.delete(work))
    this.#under.add(work)
  }

  /** Holds the rate below the limit, by waiting before a request. */
  async #pace(bytes: number): Promise<void> {
    const { bytesPerSecondMax, clock } = this.#options
    if (bytesPerSecondMax <= 0) return
    const dueMs = this.#paceFromMs + (this.#pacedBytes / bytesPerSecondMax) * 1000
    this.#pacedBytes += bytes
    const waitMs = dueMs - clock.nowMs()
    if (waitMs > 0) await new Promise<void>((resolve) => clock.setTimer(waitMs, resolve))
  }

  /** Resolves when all answers were taken. */
  async settled(): Promise<void> {
    while (this.#under.size > 0) await Promise.race(this.#under)
    this.throwFailure()
  }

  /** @throws what a request failed with */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure
  }
}
