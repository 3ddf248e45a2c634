/**
 * What somebody else did to files of the copy: found by the scan when it was opened, and since then
 * by changes and reads that met it.
 *
 * Invariant: the content of such a file is of no history, so it is neither read nor given to
 * anybody, until the history has it or the history's version is back.
 */
import type { FileStat, TreeEntry } from '../../interfaces/tree-store.js'
import { Listeners } from '../../util/listeners.js'
import type { FileIndex } from './file-index.js'
import { isNotOnDisk } from './file-index.js'
import type { Overlay } from './overlay.js'
import { nothingOutside } from './tree-scan.js'
import type { OutsideReport } from './types.js'

export class OutsideChanges {
  readonly #index: FileIndex
  readonly #overlay: Overlay
  readonly #listeners = new Listeners<[found: OutsideReport]>()
  #report: OutsideReport = nothingOutside
  /** Files that are other than the index has them, with the version that the history has. */
  readonly #unsettled = new Map<string, number>()

  constructor(index: FileIndex, overlay: Overlay) {
    this.#index = index
    this.#overlay = overlay
  }

  /** All that was found and is not settled. */
  get report(): OutsideReport {
    return this.#report
  }

  /** The scan at the start of the copy found this. */
  begin(found: OutsideReport): void {
    this.#report = found
    for (const { path } of found.differing) this.#note(path)
    for (const path of found.missing) this.#note(path)
  }

  #note(path: string): void {
    const record = this.#index.get(path)
    if (record !== undefined) this.#unsettled.set(path, record.version)
  }

  /** What was found is in the history now, or the history's version is back; `left` is not. */
  settle(left: OutsideReport = nothingOutside): void {
    this.#report = left
    const paths = new Set([...left.differing.map(({ path }) => path), ...left.missing])
    for (const path of [...this.#unsettled.keys()]) {
      if (!paths.has(path)) this.#unsettled.delete(path)
    }
  }

  /** Whether the file is a mixture of what somebody else left there and of changes in place. */
  isMixed(path: string): boolean {
    const record = this.#index.get(path)
    return record !== undefined && isNotOnDisk(record)
  }

  /** Whether the file in the tree is known to be other than the index's version of it. */
  isChanged(path: string): boolean {
    const record = this.#index.get(path)
    if (record === undefined) return false
    return isNotOnDisk(record) || this.#unsettled.get(path) === record.version
  }

  /** Whether whoever reads the file now would read what is of no history. */
  isUnreadable(path: string): boolean {
    const pending = this.#overlay.get(path)
    const isReplaced = pending !== undefined && pending.base >= pending.head
    return !isReplaced && this.isChanged(path)
  }

  /** A change met a file that is other than the index has it. */
  changeMet(found: TreeEntry): void {
    const { differing } = this.#report
    if (differing.some(({ path }) => path === found.path)) return
    this.#report = { ...this.#report, differing: [...differing, found] }
    this.#listeners.call({ ...nothingOutside, differing: [found] })
  }

  /** A read met what somebody else left, or found nothing where a file should be. */
  readMet(path: string, stat: FileStat | undefined): void {
    this.#note(path)
    if (stat !== undefined) return this.changeMet({ path, ...stat })
    const { missing } = this.#report
    if (missing.includes(path)) return
    this.#report = { ...this.#report, missing: [...missing, path] }
    this.#listeners.call({ ...nothingOutside, missing: [path] })
  }

  /** Called when a change or a read met such a file, once for each file. */
  onFound(listener: (found: OutsideReport) => void): () => void {
    return this.#listeners.add(listener)
  }
}
