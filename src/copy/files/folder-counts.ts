/**
 * The folders that contain files, so that a write can tell immediately whether a folder blocks its
 * path.
 *
 * Invariant: a folder is listed exactly while it directly contains a listed file or folder; the
 * number counts them.
 */
export class Folders {
  readonly #counts = new Map<string, number>()

  /** Whether there are files below this path. */
  has(path: string): boolean {
    return this.#counts.has(path)
  }

  /** Adds a file. */
  add(path: string): void {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const folder = path.slice(0, at)
      const count = this.#counts.get(folder)
      this.#counts.set(folder, (count ?? 0) + 1)
      if (count !== undefined) return
    }
  }

  /** Removes a file. */
  remove(path: string): void {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const folder = path.slice(0, at)
      const count = this.#counts.get(folder) ?? 0
      if (count > 1) {
        this.#counts.set(folder, count - 1)
        return
      }
      this.#counts.delete(folder)
    }
  }

  clear(): void {
    this.#counts.clear()
  }
}
