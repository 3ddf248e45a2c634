import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** The processes of this run that are still alive; all are ended with the run. */
const living = new Set<ChildProcess>()

process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL')
})

/** Ensures that a child process is ended with this run. */
export function adopt(child: ChildProcess): void {
  living.add(child)
  child.once('exit', () => living.delete(child))
}

/** The full path of the first of these programs that is installed. */
export function findProgram(
  names: readonly string[],
  folders: readonly string[] = [],
): string | undefined {
  const path = (process.env.PATH ?? '').split(delimiter)
  const all = [...folders, ...path, '/usr/local/sbin', '/usr/sbin', '/sbin']
  for (const name of names) {
    for (const folder of all) {
      const file = join(folder, name)
      try {
        accessSync(file, constants.X_OK)
        return file
      } catch {
        // Not in this folder.
      }
    }
  }
  return undefined
}

/** Runs a program to its end and gives what it printed; rejects when it fails. */
export function run(
  program: string,
  args: readonly string[],
  options: SpawnOptions = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    adopt(child)
    let printed = ''
    let complained = ''
    child.stdout?.on('data', (bytes: Buffer) => {
      printed += bytes.toString()
    })
    child.stderr?.on('data', (bytes: Buffer) => {
      complained = (complained + bytes.toString()).slice(-4000)
    })
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve(printed)
      else reject(new Error(`${program} ended with ${code ?? signal}: ${complained}`))
    })
  })
}

/** A server program that runs until it is stopped. */
export class Service {
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  #printed = ''

  constructor(program: string, args: readonly string[], options: SpawnOptions = {}) {
    this.#child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
    adopt(this.#child)
    const keep = (bytes: Buffer): void => {
      this.#printed = (this.#printed + bytes.toString()).slice(-8000)
    }
    this.#child.stdout?.on('data', keep)
    this.#child.stderr?.on('data', keep)
    this.#exited = new Promise((resolve) => {
      this.#child.once('exit', () => resolve())
      this.#child.once('error', () => resolve())
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** The end of its output, for a message about its failure. */
  get printed(): string {
    return this.#printed
  }

  get running(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Asks it to end, and makes it end after five seconds. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.running) return
    this.#child.kill(signal)
    const abort = new AbortController()
    const late = sleep(5000, undefined, { signal: abort.signal }).then(
      () => this.#child.kill('SIGKILL'),
      () => undefined,
    )
    await this.#exited
    abort.abort()
    await late
  }
}

let nextPort = 20_000 + Math.floor(Math.random() * 10_000)

/** Free ports of the loopback, below those that the system uses for outgoing connections. */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) {
    nextPort = nextPort >= 31_000 ? 20_000 : nextPort + 1
    if (await isFree(nextPort)) ports.push(nextPort)
  }
  return ports
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

/** Waits until a condition holds; rejects after a time limit, naming the condition. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  limitMs: number = 20_000,
): Promise<void> {
  const endMs = performance.now() + limitMs
  while (!(await holds())) {
    if (performance.now() > endMs) throw new Error(`waited ${limitMs} ms for ${what}`)
    await sleep(20)
  }
}
