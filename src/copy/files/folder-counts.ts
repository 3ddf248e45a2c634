/**
 * The folders that hold files, so that a write can tell at once whether a folder stands where it
 * wants a file.
 *
 * Invariant: a folder is here exactly while a file or a folder that is here lies directly in it;
 * the number says how many.
 */
export class Folders {
  readonly #counts = new Map<string, number>()

  /** Whether files lie below this path. */
  has(path: string): boolean {
    return this.#counts.has(path)
  }

  /** A file came into being. */
  add(path: string): void {
    for (let at = path.lastIndexOf('/'); at > 0; at = path.lastIndexOf('/', at - 1)) {
      const folder = path.slice(0, at)
      const count = this.#counts.get(folder)
      this.#counts.set(folder, (count ?? 0) + 1)
      if (count !== undefined) return
    }
  }

  /** A file is gone. */
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
