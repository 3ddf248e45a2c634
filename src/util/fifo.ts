/**
 * A line, first in, first out. Taking the first ones costs nothing for each of those behind: they
 * are moved only now and then.
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

  /** The item at this place of the line; undefined beyond its end. */
  at(index: number): Item | undefined {
    return this.#items[this.#head + index]
  }

  push(item: Item): void {
    this.#items.push(item)
  }

  /** Takes out the first ones. */
  drop(count: number = 1): void {
    const end = Math.min(this.#head + count, this.#items.length)
    if (end === this.#items.length) {
      this.clear()
      return
    }
    // What nobody holds any more can be collected before the others are moved.
    this.#items.fill(undefined, this.#head, end)
    this.#head = end
    if (end >= 1024 && end * 2 > this.#items.length) {
      this.#items = this.#items.slice(end)
      this.#head = 0
    }
  }

  /** Takes out those from this place on. */
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
