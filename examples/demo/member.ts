/**
 * A node of the demo as the main process controls it: a child process that can get jobs, be killed
 * and be started again.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Jobs, Message, Plan, Request } from './messages.js'

const program = fileURLToPath(new URL('./node.ts', import.meta.url))
const living = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

interface Waiting {
  resolve(value: unknown): void
  reject(error: Error): void
}

export class Member {
  readonly plan: Plan
  readonly #onNews: (member: Member, news: Message) => void
  readonly #waiting = new Map<number, Waiting>()
  #child: ChildProcess | undefined
  #exited: Promise<void> = Promise.resolve()
  #nextId = 1

  constructor(plan: Plan, onNews: (member: Member, news: Message) => void) {
    this.plan = plan
    this.#onNews = onNews
  }

  get id(): string {
    return this.plan.id
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get running(): boolean {
    return this.#child !== undefined
  }

  /** Starts the process, and the node in it; resolves when the node is standby or active. */
  async start(options: Partial<Plan> = {}): Promise<void> {
    this.boot()
    await this.ask('start', { ...this.plan, ...options })
  }

  /** Starts the process only. */
  boot(): void {
    if (this.running) return
    mkdirSync(this.plan.folder, { recursive: true })
    writeFileSync(`${this.plan.folder}/machine.txt`, `this machine is ${this.id}\n`)
    const child = fork(program, { serialization: 'advanced', stdio: ['ignore', 2, 2, 'ipc'] })
    this.#child = child
    living.add(child)
    child.on('message', (message: Message) => this.#take(message))
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => {
        living.delete(child)
        this.#child = undefined
        for (const { reject } of this.#waiting.values()) reject(new Error(`${this.id} has ended`))
        this.#waiting.clear()
        resolve()
      })
    })
  }

  ask<Name extends keyof Jobs>(
    job: Name,
    argument: Jobs[Name]['takes'],
  ): Promise<Jobs[Name]['gives']> {
    const id = this.#nextId
    this.#nextId += 1
    return new Promise((resolve, reject) => {
      const child = this.#child
      if (child === undefined) return reject(new Error(`${this.id} does not run`))
      this.#waiting.set(id, { resolve: (value) => resolve(value as never), reject })
      child.send({ id, job, argument } satisfies Request)
    })
  }

  /** Kills the process at once, as a power failure would. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL')
    await this.#exited
  }

  /** Stops the node in order and ends its process. */
  async stop(): Promise<void> {
    if (!this.running) return
    await this.ask('stop', undefined)
    this.#child?.disconnect()
    await this.#exited
  }

  #take(message: Message): void {
    if (message.kind !== 'answer' && message.kind !== 'failure') {
      this.#onNews(this, message)
      return
    }
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if (message.kind === 'answer') waiting?.resolve(message.value)
    else waiting?.reject(new Error(`${this.id}: ${message.reason}`))
  }
}

/** Finds so many free ports of the loopback. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(0, '127.0.0.1', resolve)
      })
      return server
    }),
  )
  const ports = servers.map((server) => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  })
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
