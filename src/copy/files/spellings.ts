/**
 * Finds files and folders under another spelling of a path, so that no two paths exist which a file
 * system that ignores case treats as one.
 *
 * Invariant: a spelling is listed exactly while a file exists at or below it, and only if folding
 * changes it; the folded spelling is looked up in the tree itself. So a tree in lower case needs no
 * memory.
 */
import { HotspareError } from '../../errors.js'
import type { TreeStore } from '../../interfaces/tree-store.js'
import type { SyncPolicy } from '../../policy/sync-policy.js'
import { foldPath } from '../../util/fold-path.js'
import { Folders } from './folder-counts.js'

export class Spellings {
  readonly #counts = new Map<string, number>()
  readonly #byFolded = new Map<string, Set<string>>()

  /** Adds a file. */
  add(path: string): void {
    if (foldPath(path) === path) return
    for (const spelled of withFolders(path)) {
      const folded = foldPath(spelled)
      if (folded === spelled) continue
      const count = this.#counts.get(spelled) ?? 0
      this.#counts.set(spelled, count + 1)
      if (count > 0) continue
      const spellings = this.#byFolded.get(folded)
      if (spellings === undefined) this.#byFolded.set(folded, new Set([spelled]))
      else spellings.add(spelled)
    }
  }

  /** Removes a file. */
  remove(path: string): void {
    if (foldPath(path) === path) return
    for (const spelled of withFolders(path)) {
      const count = this.#counts.get(spelled)
      if (count === undefined) continue
      if (count > 1) {
        this.#counts.set(spelled, count - 1)
        continue
      }
      this.#counts.delete(spelled)
      const folded = foldPath(spelled)
      const spellings = this.#byFolded.get(folded)
      spellings?.delete(spelled)
      if (spellings?.size === 0) this.#byFolded.delete(folded)
    }
  }

  clear(): void {
    this.#counts.clear()
    this.#byFolded.clear()
  }

  /**
   * The other spellings of a path and of its folders. An existing path has its place already,
   * whatever exists beside it.
   *
   * @param exists - whether there is a file, or a folder with files
   */
  othersOf(path: string, exists: (path: string) => boolean): string[] {
    if (this.#byFolded.size === 0 && foldPath(path) === path) return []
    const others: string[] = []
    for (const spelled of withFolders(path)) {
      if (exists(spelled)) continue
      const folded = foldPath(spelled)
      for (const other of this.#byFolded.get(folded) ?? [])
        if (other !== spelled) others.push(other)
      if (folded !== spelled && exists(folded)) others.push(folded)
    }
    return others
  }
}

/** A path and all folders above it. */
function withFolders(path: string): string[] {
  const paths = [path]
  for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
    paths.push(path.slice(0, at))
  }
  return paths
}

/** A set of paths that have to be different files on every system. */
export class DistinctPaths {
  readonly #files = new Set<string>()
  readonly #folders = new Folders()
  readonly #spellings = new Spellings()

  /**
   * Adds a path and returns another spelling of it, or of a folder above it, that was added before.
   */
  add(path: string): string | undefined {
    if (this.#files.has(path)) return undefined
    const [other] = this.#spellings.othersOf(
      path,
      (one) => this.#files.has(one) || this.#folders.has(one),
    )
    this.#files.add(path)
    this.#folders.add(path)
    this.#spellings.add(path)
    return other
  }

  /** Removes a path, if it was added. */
  remove(path: string): void {
    if (!this.#files.delete(path)) return
    this.#folders.remove(path)
    this.#spellings.remove(path)
  }
}

/** The files that new paths are compared with. */
interface SpelledFiles {
  stat(path: string): unknown
  spelledOtherwise(path: string): string[]
}

/** The rules of a node's policy and storage for paths that differ only in case. */
export class NameRules {
  readonly #files: SpelledFiles
  /** Whether the storage treats names that differ only in case as one. */
  readonly foldsCase: boolean
  /** Whether a new path is refused if it differs from another one only in case. */
  readonly refusesSpellings: boolean

  constructor(files: SpelledFiles, policy: SyncPolicy, tree: TreeStore) {
    this.#files = files
    this.foldsCase = tree.foldsCase === true
    this.refusesSpellings = policy.namesDifferingByCase === 'refuse' || this.foldsCase
  }

  /**
   * The existing file or folder that the storage treats as the same as a missing path; undefined
   * when it distinguishes them.
   */
  standsFor(path: string): string | undefined {
    if (!this.foldsCase || this.#files.stat(path) !== undefined) return undefined
    return this.#files.spelledOtherwise(path)[0]
  }

  /**
   * Files and folders that differ only in case from a new path, or from a new folder above it;
   * undefined when that is no reason to refuse it.
   */
  spelledOtherwise(path: string): readonly string[] | undefined {
    return this.refusesSpellings ? this.#files.spelledOtherwise(path) : undefined
  }
}

/** The error for two paths that are one file where case is ignored. */
export function spelledAlike(path: string, other: string): HotspareError {
  return new HotspareError(
    'PATH_CONFLICT',
    `'${path}' cannot stand beside '${other}', because they are one file on a system that does not tell upper from lower case`,
    {
      details: { path, otherPath: other },
      whatToDo:
        "Choose another name, or remove the other one before. Where every node tells them apart: new SyncPolicy(classes, { namesDifferingByCase: 'allow' }).",
    },
  )
}
