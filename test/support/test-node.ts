/** A node in its own process, which a test can call, kill, freeze and restart. */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import type { ErrorCode, NodeEvents, NodeStatus } from 'hotspare'
import type { Ack, Jobs, Message, Plan, Request, Tuning } from './node-jobs.js'
import { nodeProgram } from './program.js'
import { retryUntil } from './wait.js'

const living = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

/** The error of a call that failed in the node's process. */
export class RemoteError extends Error {
  readonly code: ErrorCode | 'none'

  constructor(code: string, message: string) {
    super(message)
    this.code = code as ErrorCode
  }
}

/** An event in the node's log. */
export interface LoggedEvent {
  readonly name: keyof NodeEvents
  readonly event: unknown
  readonly atWallMs: number
}

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

export class TestNode {
  readonly plan: Plan
  /** Everything that all processes of this node logged. */
  readonly events: LoggedEvent[] = []
  readonly #onAck: (ack: Ack) => void
  /** Codes of writes that were refused while it was active. */
  readonly refused: { readonly writer: string; readonly code: string }[] = []
  readonly #waiting = new Map<number, Waiting>()
  #child: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()
  #nextId = 1

  constructor(plan: Plan, onAck: (ack: Ack) => void) {
    this.plan = plan
    this.#onAck = onAck
  }

  get id(): string {
    return this.plan.id
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  /**
   * Starts a process with the node; resolves when the node is standby or active for the first time.
   */
  async start(options: Tuning = {}): Promise<void> {
    if (!this.running) this.boot()
    await this.ask('start', { ...this.plan, ...options })
  }

  /**
   * Starts the process without the node. `descriptors` limits the number of files that it may open.
   */
  boot(descriptors?: number): void {
    mkdirSync(this.plan.folder, { recursive: true })
    const script = `ulimit -n ${descriptors}; exec "$0" "$@"`
    const child = fork(nodeProgram(), {
      serialization: 'advanced',
      ...(descriptors === undefined
        ? { execArgv: [] }
        : { execPath: '/bin/sh', execArgv: ['-c', script, process.execPath] }),
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child = child
    living.add(child)
    child.on('message', (message: Message) => this.#take(message))
    child.on('error', () => undefined)
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => {
        living.delete(child)
        this.#child = undefined
        const error = new Error(`the process of ${this.id} has ended`)
        for (const { reject } of this.#waiting.values()) reject(error)
        this.#waiting.clear()
        resolve()
      })
    })
  }

  ask<Name extends keyof Jobs>(
    job: Name,
    ...[argument]: undefined extends Jobs[Name]['takes'] ? [] : [Jobs[Name]['takes']]
  ): Promise<Jobs[Name]['gives']> {
    const id = this.#nextId
    this.#nextId += 1
    return new Promise((resolve, reject) => {
      const child = this.#child
      if (child === undefined) {
        reject(new Error(`${this.id} does not run`))
        return
      }
      this.#waiting.set(id, { resolve: (value) => resolve(value as never), reject })
      child.send({ id, job, argument } satisfies Request)
    })
  }

  status(): Promise<NodeStatus> {
    return this.ask('status')
  }

  /** Waits until the node has this role. */
  async becomes(role: NodeStatus['role'], limitMs?: number): Promise<void> {
    const what = `${this.id} to be ${role}`
    await retryUntil(what, async () => (await this.status()).role === role, limitMs)
  }

  /** Events of one name since an index in the log, such as an earlier `events.length`. */
  logged<Name extends keyof NodeEvents>(name: Name, since: number = 0): NodeEvents[Name][0][] {
    const found = this.events.slice(since).filter((entry) => entry.name === name)
    return found.map(({ event }) => event as NodeEvents[Name][0])
  }

  /** The roles that it had since an index in the log. */
  roles(since: number = 0): string[] {
    return this.logged('role', since).map(({ role }) => role)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Kills the process at once, without an orderly stop. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#exited
  }

  /** Stops the node in order, then ends its process. */
  async stop(): Promise<void> {
    if (!this.running) return
    await this.ask('stop')
    this.#child?.disconnect()
    await this.#exited
  }

  #take(message: Message): void {
    switch (message.kind) {
      case 'event':
        this.events.push(message.event)
        break
      case 'ack':
        this.#onAck(message.ack)
        break
      case 'refused':
        this.refused.push({ writer: message.writer, code: message.code })
        break
      case 'answer':
        this.#settle(message.id)?.resolve(message.value)
        break
      case 'failure':
        this.#settle(message.id)?.reject(new RemoteError(message.code, message.message))
    }
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    return waiting
  }
}
