/**
 * Orders the calls that change the tree. A call runs immediately to its end, unless it yields;
 * while one is paused, later calls that share no path with it run in between, and those that do
 * wait for it.
 *
 * Invariant: if two calls touch the same path, or one touches a folder of the other's path, the
 * earlier call ends before the later one begins.
 */

/** A call; it pauses by yielding. */
export type PausingTask<T> = Generator<void, T>

interface Entry {
  readonly keys: readonly string[]
  /** The keys, and the folders above them; computed on first use. */
  index: { keys: Set<string>; above: Set<string> } | undefined
  /** Number of earlier, unfinished calls that share a path with it. */
  waitsFor: number
  /** Later calls that share a path with it. */
  readonly waiting: Entry[]
  readonly step: () => void
}

/** The unfinished calls, in order. */
export class ApplyQueue {
  readonly #unfinished = new Set<Entry>()

  /**
   * Runs a call when no earlier call shares a path with it.
   *
   * @param keys - the paths that it touches, `/`-separated
   * @param task - the call; not started before its turn
   */
  run<T>(keys: readonly string[], task: PausingTask<T>): T | Promise<T> {
    if (!this.#mustWait(keys)) {
      const first = task.next()
      if (first.done === true) return first.value
    }
    return new Promise((resolve, reject) => {
      const step = (): void => {
        try {
          const next = task.next()
          if (next.done !== true) {
            setImmediate(step)
            return
          }
          resolve(next.value)
        } catch (error) {
          reject(error)
        }
        this.#finish(entry)
      }
      const entry = this.#add(keys, step)
      if (entry.waitsFor === 0) setImmediate(step)
    })
  }

  #mustWait(keys: readonly string[]): boolean {
    for (const older of this.#unfinished) if (conflict(older, keys)) return true
    return false
  }

  #add(keys: readonly string[], step: () => void): Entry {
    const entry: Entry = { keys, index: undefined, waitsFor: 0, waiting: [], step }
    for (const older of this.#unfinished) {
      if (!conflict(older, keys)) continue
      older.waiting.push(entry)
      entry.waitsFor += 1
    }
    this.#unfinished.add(entry)
    return entry
  }

  #finish(entry: Entry): void {
    this.#unfinished.delete(entry)
    for (const next of entry.waiting) {
      next.waitsFor -= 1
      if (next.waitsFor === 0) setImmediate(next.step)
    }
  }
}

/** Whether a call touches a path of an older one, or a path above or below one. */
function conflict(older: Entry, newer: readonly string[]): boolean {
  older.index ??= makeIndex(older.keys)
  const { keys, above } = older.index
  for (const key of newer) {
    if (keys.has(key) || above.has(key)) return true
    for (let slash = key.lastIndexOf('/'); slash > 0; slash = key.lastIndexOf('/', slash - 1)) {
      if (keys.has(key.slice(0, slash))) return true
    }
  }
  return false
}

function makeIndex(paths: readonly string[]): { keys: Set<string>; above: Set<string> } {
  const keys = new Set(paths)
  const above = new Set<string>()
  for (const path of keys) {
    for (let slash = path.lastIndexOf('/'); slash > 0; slash = path.lastIndexOf('/', slash - 1)) {
      above.add(path.slice(0, slash))
    }
  }
  return { keys, above }
}
