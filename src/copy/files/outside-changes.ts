/**
 * Tracks outside changes to files of the copy: found by the scan at its opening, and later by
 * changes and reads.
 *
 * Invariant: the content of such a file belongs to no history, so it is neither read nor sent until
 * the history contains it or its version is restored.
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
  /** The changed files, with the version in the history. */
  readonly #unsettled = new Map<string, number>()

  constructor(index: FileIndex, overlay: Overlay) {
    this.#index = index
    this.#overlay = overlay
  }

  /** All outside changes that are not settled. */
  get report(): OutsideReport {
    return this.#report
  }

  /** Records what the scan at the opening of the copy found. */
  begin(found: OutsideReport): void {
    this.#report = found
    for (const { path } of found.differing) this.#note(path)
    for (const path of found.missing) this.#note(path)
  }

  #note(path: string): void {
    const record = this.#index.get(path)
    if (record !== undefined) this.#unsettled.set(path, record.version)
  }

  /** Settles the changes, which are in the history now or undone, except those in `left`. */
  settle(left: OutsideReport = nothingOutside): void {
    this.#report = left
    const paths = new Set([...left.differing.map(({ path }) => path), ...left.missing])
    for (const path of [...this.#unsettled.keys()]) {
      if (!paths.has(path)) this.#unsettled.delete(path)
    }
  }

  /** Whether the file is a mixture of outside changes and changes in place. */
  isMixed(path: string): boolean {
    const record = this.#index.get(path)
    return record !== undefined && isNotOnDisk(record)
  }

  /** Whether the file in the tree is known to differ from the version in the index. */
  isChanged(path: string): boolean {
    const record = this.#index.get(path)
    if (record === undefined) return false
    return isNotOnDisk(record) || this.#unsettled.get(path) === record.version
  }

  /** Whether a read of the file would return content that belongs to no history. */
  isUnreadable(path: string): boolean {
    const pending = this.#overlay.get(path)
    const isReplaced = pending !== undefined && pending.base >= pending.head
    return !isReplaced && this.isChanged(path)
  }

  /** Records that a change found a file that differs from the index. */
  changeMet(found: TreeEntry): void {
    const { differing } = this.#report
    if (differing.some(({ path }) => path === found.path)) return
    this.#report = { ...this.#report, differing: [...differing, found] }
    this.#listeners.call({ ...nothingOutside, differing: [found] })
  }

  /** Records that a read found an outside change, or no file where there should be one. */
  readMet(path: string, stat: FileStat | undefined): void {
    this.#note(path)
    if (stat !== undefined) return this.changeMet({ path, ...stat })
    const { missing } = this.#report
    if (missing.includes(path)) return
    this.#report = { ...this.#report, missing: [...missing, path] }
    this.#listeners.call({ ...nothingOutside, missing: [path] })
  }

  /** The listener is called when a change or a read finds such a file, once for each file. */
  onFound(listener: (found: OutsideReport) => void): () => void {
    return this.#listeners.add(listener)
  }
}
