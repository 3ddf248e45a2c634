/**
 * Makes files durable: a few one by one, many with one flush of the whole file system, which takes a
 * quarter of the time. A failed sync is never made good by a second one: the system may have dropped what
 * it could not write, and would say "done" the next time.
 */

import { spawn } from 'node:child_process'
import type { ObjectArea } from '../../interfaces/storage.js'
import { storageFailed } from '../failure.js'
import type { Lane } from './lane.js'
import type { Layout } from './layout.js'

/** Above this many files, one flush of the file system is faster than an fsync of each. */
const SINGLE_FILES_MAX = 64
/** Files in one piece of work for the lane. */
const FILES_PER_CALL = 1000

type Base = 'tree' | ObjectArea

/** Syncs the tree and the objects of one storage. */
export class Syncer {
  readonly #layout: Layout
  readonly #lane: Lane
  /** Files whose last sync failed, as `base/name`, until they are written again. */
  readonly #failed = new Set<string>()
  #wholeFailed = false
  #hasFlush: Promise<boolean> | undefined

  constructor(layout: Layout, lane: Lane) {
    this.#layout = layout
    this.#lane = lane
  }

  /** Tells that a file was replaced or removed, so that its failed sync no longer counts. */
  renewed(base: Base, name: string): void {
    if (this.#failed.size > 0) this.#failed.delete(`${base}/${name}`)
  }

  /** Makes these files, and their names, durable. */
  async sync(base: Base, names: readonly string[]): Promise<void> {
    this.#refuseFailed(base, names)
    if (names.length > SINGLE_FILES_MAX && (await this.#flush())) return
    for (let start = 0; start === 0 || start < names.length; start += FILES_PER_CALL) {
      const some = names.slice(start, start + FILES_PER_CALL)
      try {
        await this.#lane.call('syncFiles', { base, names: some })
      } catch (error) {
        for (const name of some) this.#failed.add(`${base}/${name}`)
        throw error
      }
    }
  }

  /**
   * Makes everything durable.
   *
   * @param names - lists all files, for systems that cannot flush a whole file system
   */
  async syncAll(base: Base, names: () => AsyncIterable<string[]>): Promise<void> {
    this.#refuseFailed(base, undefined)
    if (await this.#flush()) return
    await this.sync(base, [])
    for await (const some of names()) {
      for (let start = 0; start < some.length; start += SINGLE_FILES_MAX) {
        await this.sync(base, some.slice(start, start + SINGLE_FILES_MAX))
      }
    }
  }

  #refuseFailed(base: Base, names: readonly string[] | undefined): void {
    if (this.#wholeFailed) {
      throw storageFailed('an earlier sync failed; the storage must be opened again')
    }
    if (this.#failed.size === 0) return
    const candidates = names?.map((name) => `${base}/${name}`) ?? [...this.#failed]
    const bad = candidates.find((name) => this.#failed.has(name) && name.startsWith(`${base}/`))
    if (bad === undefined) return
    throw storageFailed(`an earlier sync of ${bad} failed; it must be written again`, bad)
  }

  /** Flushes the file system of the root. False where that cannot be done. */
  async #flush(): Promise<boolean> {
    this.#hasFlush ??= run(['--help']).then(
      ({ output }) => output.includes('--file-system'),
      () => false,
    )
    if (!(await this.#hasFlush)) return false
    const { code, output } = await run(['--file-system', this.#layout.root])
    if (code === 0) return true
    this.#wholeFailed = true
    throw storageFailed(`the file system could not be flushed: ${output.trim()}`, this.#layout.root)
  }
}

/** Runs the program `sync`, which is part of every GNU system; Node itself has no such call. */
function run(options: readonly string[]): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('sync', options, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
    })
    let output = ''
    const collect = (text: Buffer): void => {
      output = `${output}${text.toString()}`.slice(0, 10_000)
    }
    child.stdout.on('data', collect)
    child.stderr.on('data', collect)
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}
