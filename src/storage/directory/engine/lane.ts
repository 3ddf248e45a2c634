/**
 * A lane carries work to an engine and the answers back. There are two kinds: a worker thread, and
 * the main thread itself for where no thread can be started.
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

/** Where work is done. */
export interface Lane {
  /** Hands over a piece of work. */
  call<Kind extends WorkKind>(kind: Kind, ask: Work[Kind]['ask']): Promise<Work[Kind]['answer']>
  /** Waits for background work and ends. No call may be under way. */
  close(): Promise<void>
}

/** What a worker is told at its start. */
export interface WorkerStart {
  readonly root: string
  readonly lane: string
  readonly lending: LendingState
}

/** A piece of work on its way to a worker. */
export interface WorkerAsk {
  readonly id: number
  readonly kind: WorkKind
  readonly ask: unknown
}

/** An answer on its way back. */
export type WorkerAnswer =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly error: WireError }

/** An error between threads, which would lose its class and code. */
export interface WireError {
  readonly code: ErrorCode
  readonly what: string
  readonly whatToDo: string | undefined
  readonly details: HotspareError['details']
  readonly cause: ({ readonly message: string } & Partial<NodeJS.ErrnoException>) | undefined
}

/** Opens a lane: a worker thread when it is wanted and its file exists. */
export function openLane(start: WorkerStart, threads: boolean): Lane {
  const file = workerFile()
  if (threads && file !== undefined) return new ThreadLane(file, start)
  return new InlineLane(new Engine(new Layout(start.root, start.lane), start.lending))
}

/**
 * The compiled worker; undefined when there is none. The one place that decides this: the sources
 * run as TypeScript in tests, and a worker in TypeScript does not start, so that they use the built
 * one.
 */
function workerFile(): URL | undefined {
  const fromSource = import.meta.url.endsWith('.ts')
  const place = fromSource ? '../../../../dist/storage/directory/engine/worker.js' : './worker.js'
  const file = new URL(place, import.meta.url)
  return existsSync(file) ? file : undefined
}

/** Does the work on the main thread. */
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
 * Does the work in a thread, which is started with the first piece of work, and anew with the next
 * one after it ended.
 *
 * Invariant: no thread is started before the one before it has exited, so that two never work on
 * the same files; each has a name of its own, so that its temporary files are new.
 */
class ThreadLane implements Lane {
  readonly #file: URL
  readonly #start: WorkerStart
  readonly #waiting = new Map<number, Waiting>()
  #worker: Worker | undefined
  /** Threads that were started. */
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
      // An idle storage does not keep the process alive; one that works does.
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
    // A thread that ended has nothing left to settle.
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
        // Loaders and flags of the application are none of the worker's business.
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

  /** What was asked of it may have been done or not; the next piece of work starts another one. */
  #exited(cause: unknown): void {
    this.#worker = undefined
    const error = this.#ended(cause)
    for (const waiting of this.#waiting.values()) waiting.reject(error)
    this.#waiting.clear()
  }

  /**
   * That a thread could not be started says that nothing was done; one that ended may have failed
   * in the middle of a sync.
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

/** Prepares an error for another thread. */
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

/**
 * Errors keep their message between threads, and lose the fields that say what the system meant.
 */
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
