/**
 * Makes files durable: few files one by one, many with one flush of the whole file system, which
 * takes a quarter of the time. A failed sync is not repeated, because the system may have dropped
 * the bytes and would report success the next time.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { HotspareError } from '../../errors.js'
import type { ObjectArea } from '../../interfaces/object-store.js'
import { inBatches } from '../../util/in-batches.js'
import { storageFailed } from '../failure.js'
import type { Layout } from './base/layout.js'
import type { Lane } from './engine/lane.js'

/** Files that are synced one by one; above this, a flush of the file system is faster. */
const singleFilesMax = 64
/** Files in one call to the lane. */
const filesPerCall = 1000

/**
 * The remedy after a failed sync: writing again is necessary, because the system drops bytes that
 * it could not write and reports success for the next sync.
 */
const restart = 'Check the device, then restart the node: it writes again what may be missing.'

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

  /** Clears the failed sync of a file that was replaced or removed. */
  renewed(base: Base, name: string): void {
    if (this.#failed.size > 0) this.#failed.delete(`${base}/${name}`)
  }

  /** Makes these files, and their names, durable. */
  async sync(base: Base, names: readonly string[]): Promise<void> {
    this.#refuseFailed(base, names)
    if (names.length > singleFilesMax && (await this.#flush())) return
    for (let start = 0; start === 0 || start < names.length; start += filesPerCall) {
      const some = names.slice(start, start + filesPerCall)
      try {
        await this.#lane.call('syncFiles', { base, names: some })
      } catch (error) {
        // The sync never began, so it may be repeated.
        if (HotspareError.is(error, 'RESOURCES_EXHAUSTED')) throw error
        for (const name of some) this.#failed.add(`${base}/${name}`)
        throw error
      }
    }
  }

  /**
   * Makes everything durable.
   *
   * @param names - lists all files, for systems without a flush of a whole file system
   */
  async syncAll(base: Base, names: () => AsyncIterable<string[]>): Promise<void> {
    this.#refuseFailed(base, undefined)
    if (await this.#flush()) return
    await this.sync(base, [])
    for await (const some of names()) {
      for (const batch of inBatches(some, singleFilesMax)) await this.sync(base, batch)
    }
  }

  #refuseFailed(base: Base, names: readonly string[] | undefined): void {
    if (this.#wholeFailed) {
      throw storageFailed('an earlier sync failed', this.#layout.root, restart)
    }
    if (this.#failed.size === 0) return
    const candidates = names?.map((name) => `${base}/${name}`) ?? [...this.#failed]
    const bad = candidates.find((name) => this.#failed.has(name) && name.startsWith(`${base}/`))
    if (bad === undefined) return
    throw storageFailed(`an earlier sync of ${bad} failed`, bad, restart)
  }

  /**
   * Flushes the file system of the root. False where that is impossible, permanently or now; the
   * caller then syncs file by file.
   */
  async #flush(): Promise<boolean> {
    this.#hasFlush ??= this.#findFlush()
    if (!(await this.#hasFlush)) return false
    const run = await runSync(['--file-system', this.#layout.root])
    if (run.code === 0) return true
    // `sync` ended before it synced anything.
    if (run.code === undefined || run.output.includes('error opening')) return false
    this.#wholeFailed = true
    const what = `the file system could not be flushed: ${run.output.trim()}`
    throw storageFailed(what, this.#layout.root, restart)
  }

  /**
   * Whether `sync` supports `--file-system`. If it could not be run, the next call checks again.
   */
  async #findFlush(): Promise<boolean> {
    const { code, output } = await runSync(['--help'])
    if (code === undefined) this.#hasFlush = undefined
    return output.includes('--file-system')
  }
}

interface Run {
  /** Undefined when the program could not be started. */
  readonly code: number | null | undefined
  readonly output: string
}

/** Runs the program `sync`, which is part of every GNU system; Node itself has no such call. */
function runSync(options: readonly string[]): Promise<Run> {
  return new Promise((resolve) => {
    const failed = (error: unknown): void => resolve({ code: undefined, output: String(error) })
    let child: ChildProcess
    try {
      child = spawn('sync', options, {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, LC_ALL: 'C' },
      })
    } catch (error) {
      return failed(error)
    }
    // Registered first, because without a listener the error of a child that could not be started
    // would end the process.
    child.on('error', failed)
    let output = ''
    const collect = (text: Buffer): void => {
      output = `${output}${text.toString()}`.slice(0, 10_000)
    }
    // A child has no pipes when the process has no free descriptors.
    for (const pipe of [child.stdout, child.stderr]) {
      pipe?.on('data', collect)
      pipe?.on('error', failed)
    }
    child.on('close', (code) => resolve({ code, output }))
  })
}
