/**
 * A lane passes calls to an engine and returns the answers: in a worker thread, or on the main
 * thread where no thread is used.
 */

import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { ErrorCode } from '../../../error-codes.js'
import { HotspareError, ownRemedy, whatHappened } from '../../../errors.js'
import { storageFailed } from '../../failure.js'
import { errnoOf } from '../base/fs-error.js'
import { Layout } from '../base/layout.js'
import type { LendingState } from './access.js'
import { Engine } from './engine.js'
import type { Work, WorkKind } from './work.js'

/** Runs the calls of a storage. */
export interface Lane {
  /** Runs one call. */
  call<Kind extends WorkKind>(kind: Kind, ask: Work[Kind]['ask']): Promise<Work[Kind]['answer']>
  /** Waits for background work and ends. No call may be under way. */
  close(): Promise<void>
}

/** The data that a worker starts with. */
export interface WorkerStart {
  readonly root: string
  readonly lane: string
  readonly lending: LendingState
}

/** A call as it is sent to a worker. */
export interface WorkerAsk {
  readonly id: number
  readonly kind: WorkKind
  readonly ask: unknown
}

/** An answer as it is sent back. */
export type WorkerAnswer =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: WireError }

/** An error as it is sent between threads, because a cloned error would lose its class and code. */
export interface WireError {
  readonly code: ErrorCode
  readonly what: string
  readonly whatToDo: string | undefined
  readonly details: HotspareError['details']
  readonly cause: ({ readonly message: string } & Partial<NodeJS.ErrnoException>) | undefined
}

/** Opens a lane: a worker thread when threads are enabled and the worker's file exists. */
export function openLane(start: WorkerStart, threads: boolean): Lane {
  const file = workerFile()
  if (threads && file !== undefined) return new ThreadLane(file, start)
  return new InlineLane(new Engine(new Layout(start.root, start.lane), start.lending))
}

/**
 * The compiled worker; undefined when it is missing. Tests run the sources as TypeScript, which a
 * worker cannot start, so they use the built file.
 */
function workerFile(): URL | undefined {
  const fromSource = import.meta.url.endsWith('.ts')
  const place = fromSource ? '../../../../dist/storage/directory/engine/worker.js' : './worker.js'
  const file = new URL(place, import.meta.url)
  return existsSync(file) ? file : undefined
}

/** Runs calls on the main thread. */
class InlineLane implements Lane {
  readonly #engine: Engine

  constructor(engine: Engine) {
    this.#engine = engine
  }

  async call<Kind extends WorkKind>(
    kind: Kind,
    ask: Work[Kind]['ask'],
  ): Promise<Work[Kind]['answer']> {
    return await this.#engine.do(kind, ask)
  }

  async close(): Promise<void> {
    await this.#engine.do('settle', undefined)
  }
}

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
}

/**
 * Runs calls in a worker thread, which is started with the first call, and again with the next call
 * after it exited.
 *
 * Invariant: a thread is started only after the previous one has exited, so that two never work on
 * the same files; each has a distinct name, so that their temporary files differ.
 */
class ThreadLane implements Lane {
  readonly #file: URL
  readonly #start: WorkerStart
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  /** How many threads were started. */
  #started = 0
  #isClosed = false
  #lastId = 0

  constructor(file: URL, start: WorkerStart) {
    this.#file = file
    this.#start = start
  }

  call<Kind extends WorkKind>(kind: Kind, ask: Work[Kind]['ask']): Promise<Work[Kind]['answer']> {
    return new Promise<unknown>((resolve, reject) => {
      if (this.#isClosed) throw storageFailed('the storage is closed')
      this.#worker ??= this.#startWorker()
      this.#lastId += 1
      const message: WorkerAsk = { id: this.#lastId, kind, ask }
      this.#worker.postMessage(message)
      // A storage keeps the process alive only while calls are under way.
      if (this.#waiting.size === 0) this.#worker.ref()
      this.#waiting.set(message.id, { resolve, reject })
    }) as Promise<Work[Kind]['answer']>
  }

  async close(): Promise<void> {
    const worker = this.#worker
    if (worker === undefined) {
      this.#isClosed = true
      return
    }
    // Ignored: a thread that exited has no background work.
    await this.call('settle', undefined).catch(() => undefined)
    this.#isClosed = true
    await worker.terminate()
  }

  #startWorker(): Worker {
    this.#started += 1
    const { lane } = this.#start
    const name = this.#started === 1 ? lane : `${lane}${this.#started}`
    let worker: Worker
    try {
      worker = new Worker(this.#file, {
        workerData: { ...this.#start, lane: name },
        name: `hotspare-${name}`,
        // The worker must not inherit loaders and flags of the application.
        execArgv: [],
      })
    } catch (error) {
      throw this.#ended(error)
    }
    let cause: unknown
    worker.on('message', (message: WorkerAnswer) => this.#settle(message))
    worker.on('error', (error) => {
      cause = error
    })
    worker.on('exit', (code) => this.#exited(cause ?? new Error(`it ended with ${code}`)))
    return worker
  }

  #settle(message: WorkerAnswer): void {
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if (this.#waiting.size === 0) this.#worker?.unref()
    if ('error' in message) waiting?.reject(fromWire(message.error))
    else waiting?.resolve(message.answer)
  }

  /**
   * Rejects the calls under way, which may have been carried out or not; the next call starts
   * another thread.
   */
  #exited(cause: unknown): void {
    this.#worker = undefined
    const error = this.#ended(cause)
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }

  /**
   * A thread that could not be started has done nothing; one that exited may have failed in the
   * middle of a sync.
   */
  #ended(cause: unknown): HotspareError {
    const { lane } = this.#start
    const why = cause instanceof Error ? cause.message : String(cause)
    const code = couldNotStart(cause) ? 'RESOURCES_EXHAUSTED' : 'STORAGE_FAILED'
    return new HotspareError(code, `the storage's ${lane} thread ended: ${why}`, { cause })
  }
}

function couldNotStart(cause: unknown): boolean {
  return errnoOf(cause) === 'ERR_WORKER_INIT_FAILED'
}

/** Converts an error to be sent to another thread. */
export function toWire(error: HotspareError): WireError {
  const what = whatHappened(error)
  const { code, details } = error
  return { code, what, whatToDo: ownRemedy(error), details, cause: wireCause(error.cause) }
}

function fromWire(wire: WireError): HotspareError {
  const { code, what, whatToDo, cause, details } = wire
  if (cause === undefined) return new HotspareError(code, what, { details, whatToDo })
  const error = Object.assign(new Error(cause.message), cause)
  return new HotspareError(code, what, { details, whatToDo, cause: error })
}

/** The cause with its system fields, because a cloned error keeps only its message. */
function wireCause(cause: unknown): WireError['cause'] {
  if (!(cause instanceof Error)) return undefined
  const { message, code, errno, syscall, path } = cause as NodeJS.ErrnoException
  return {
    message,
    ...(code === undefined ? {} : { code }),
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(path === undefined ? {} : { path }),
  }
}
