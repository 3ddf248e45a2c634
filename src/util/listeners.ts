/** A few plain callbacks, called in the order in which they came. */
export class Listeners<Args extends readonly unknown[]> {
  #all: readonly ((...args: Args) => void)[] = []

  /** Adds one; the answer removes it. */
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
