/**
 * A queue, first in, first out. Dropping items at the front costs constant time on average: the
 * rest is moved only when at least 1 024 places, and more than half of the array, are free.
 */
export class Fifo<Item> {
  #items: (Item | undefined)[] = []
  #head = 0

  get length(): number {
    return this.#items.length - this.#head
  }

  get isEmpty(): boolean {
    return this.#head === this.#items.length
  }

  get first(): Item | undefined {
    return this.#items[this.#head]
  }

  /** The item at this index from the front; undefined beyond the end. */
  at(index: number): Item | undefined {
    return this.#items[this.#head + index]
  }

  push(item: Item): void {
    this.#items.push(item)
  }

  /** Removes the first `count` items. */
  drop(count: number = 1): void {
    const end = Math.min(this.#head + count, this.#items.length)
    if (end === this.#items.length) {
      this.clear()
      return
    }
    // Cleared now, so that the items can be garbage-collected before the rest is moved.
    this.#items.fill(undefined, this.#head, end)
    this.#head = end
    if (end >= 1024 && end * 2 > this.#items.length) {
      this.#items = this.#items.slice(end)
      this.#head = 0
    }
  }

  /** Removes and returns the items from this index on. */
  takeFrom(index: number): Item[] {
    return this.#items.splice(this.#head + index) as Item[]
  }

  takeAll(): Item[] {
    const items = this.#items.slice(this.#head) as Item[]
    this.clear()
    return items
  }

  clear(): void {
    this.#items = []
    this.#head = 0
  }
}
