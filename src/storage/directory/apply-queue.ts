/**
 * The order of calls that change the tree. A call runs at once, to its end, unless it pauses; while one is
 * paused, later calls run in between if they share no path with it. Those that do wait for their turn.
 *
 * Invariant: of two calls that touch the same path, or one a folder of the other's, the one made first
 * has ended before the other begins.
 */

/** A call: it pauses by yielding. */
export type PausingTask<T> = Generator<void, T>

interface Entry {
  readonly keys: readonly string[]
  /** The keys and everything above them; made when first asked for. */
  index: { keys: Set<string>; above: Set<string> } | undefined
  readonly start: () => void
  started: boolean
}

/** Calls that are not finished, in the order in which they were made. */
export class ApplyQueue {
  readonly #unfinished: Entry[] = []
  #inRound = false
  #roundWanted = false

  /**
   * Runs a call in its turn.
   *
   * @param keys - the paths that it touches, `/`-separated
   * @param task - the call; it is not advanced before its turn
   */
  run<T>(keys: readonly string[], task: PausingTask<T>): T | Promise<T> {
    if (this.#unfinished.length === 0) {
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
      const entry: Entry = { keys, index: undefined, start: step, started: false }
      this.#unfinished.push(entry)
      // The first of all has paused already: let the others see their messages before it goes on.
      if (this.#unfinished.length === 1) {
        entry.started = true
        setImmediate(step)
      } else {
        this.#startFree()
      }
    })
  }

  #finish(entry: Entry): void {
    this.#unfinished.splice(this.#unfinished.indexOf(entry), 1)
    this.#startFree()
  }

  /** Starts every waiting call that shares nothing with an unfinished one before it. */
  #startFree(): void {
    // A call that ends at once comes back here: note it and go round again, instead of ever deeper.
    this.#roundWanted = true
    if (this.#inRound) return
    this.#inRound = true
    while (this.#roundWanted) {
      this.#roundWanted = false
      for (const entry of this.#startable()) {
        entry.started = true
        entry.start()
      }
    }
    this.#inRound = false
  }

  #startable(): Entry[] {
    const free: Entry[] = []
    for (const [index, entry] of this.#unfinished.entries()) {
      if (entry.started) continue
      const before = this.#unfinished.slice(0, index)
      if (!before.some((older) => conflict(older, entry))) free.push(entry)
    }
    return free
  }
}

/** Whether two calls touch the same path, or one a path below the other's. */
function conflict(older: Entry, newer: Entry): boolean {
  older.index ??= makeIndex(older.keys)
  const { keys, above } = older.index
  for (const key of newer.keys) {
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
