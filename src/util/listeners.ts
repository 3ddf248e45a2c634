/** A list of callbacks, called in the order in which they were added. */
export class Listeners<Args extends readonly unknown[]> {
  #all: readonly ((...args: Args) => void)[] = []

  /** Adds a listener; the returned function removes it. */
  add(listener: (...args: Args) => void): () => void {
    this.#all = [...this.#all, listener]
    return () => {
      this.#all = this.#all.filter((other) => other !== listener)
    }
  }

  call(...args: Args): void {
    for (const listener of this.#all) listener(...args)
  }
}
