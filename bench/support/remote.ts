import { type ChildProcess, fork } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { adopt } from './processes.js'

/** The messages between the run and its child processes. */
interface Request {
  readonly id: number
  readonly job: unknown
}

type Answer =
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly failure: string }

/** In the child: carries out the jobs that the run sends. The process ends when the run does. */
export function serve<Job>(carryOut: (job: Job) => Promise<unknown>): void {
  process.on('message', (request: Request) => {
    carryOut(request.job as Job).then(
      (value) => process.send?.({ id: request.id, value } satisfies Answer),
      (error: unknown) => {
        const failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
        process.send?.({ id: request.id, failure } satisfies Answer)
      },
    )
  })
  process.once('disconnect', () => process.exit())
}

/** In the run: a child process that carries out jobs. */
export class Remote<Job> {
  readonly #child: ChildProcess
  readonly #waiting = new Map<
    number,
    { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }
  >()
  readonly #exited: Promise<void>
  #nextId = 1

  /** @param script - the child's program, beside this file */
  constructor(script: string) {
    this.#child = fork(fileURLToPath(new URL(script, import.meta.url)), {
      execArgv: ['--import', 'tsx', ...profiling()],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    adopt(this.#child)
    this.#child.on('message', (answer: Answer) => this.#settle(answer))
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => {
        for (const { reject } of this.#waiting.values()) {
          reject(new Error(`${script} ended with ${code ?? signal}`))
        }
        this.#waiting.clear()
        resolve()
      })
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /**
   * Has the child carry out one job. The caller chooses the type of the answer, unchecked, because
   * both sides belong to this project.
   */
  ask<Value>(job: Job): Promise<Value> {
    const id = this.#nextId
    this.#nextId += 1
    return new Promise<Value>((resolve, reject) => {
      if (!this.#child.connected) {
        reject(new Error('the process has ended'))
        return
      }
      this.#waiting.set(id, { resolve: (value) => resolve(value as Value), reject })
      this.#child.send({ id, job } satisfies Request)
    })
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Kills the child at once and waits until it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  /** Lets the child end by itself, which also writes its profile if profiling is on. */
  async end(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    await this.#exited
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if ('failure' in answer) waiting?.reject(new Error(answer.failure))
    else waiting?.resolve(answer.value)
  }
}

/**
 * With HOTSPARE_BENCH_PROFILE=DIR every child writes processor profiles there when it ends in
 * order.
 */
function profiling(): string[] {
  const folder = process.env.HOTSPARE_BENCH_PROFILE
  if (folder === undefined) return []
  mkdirSync(folder, { recursive: true })
  return ['--cpu-prof', '--cpu-prof-interval=200', `--cpu-prof-dir=${folder}`]
}
