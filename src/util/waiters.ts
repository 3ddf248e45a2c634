/** Callers that wait for the same event. */
export class Waiters<Value = void> {
  #waiting: { resolve(value: Value): void; reject(error: unknown): void }[] = []

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  wait(): Promise<Value> {
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }))
  }

  resolve(value: Value): void {
    for (const waiter of this.#waiting.splice(0)) waiter.resolve(value)
  }

  reject(error: unknown): void {
    for (const waiter of this.#waiting.splice(0)) waiter.reject(error)
  }
}
