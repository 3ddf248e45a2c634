/** The pauses of a simulated world: processes and machines that stand still and go on later. */
import type { MemoryNetwork } from '../../transport/memory.js'
import type { Machine } from './machine/machine.js'
import type { SeededRandom } from './machine/seeded-random.js'
import type { Stage } from './stage.js'

export class Pauses {
  readonly #stage: Stage
  readonly #network: MemoryNetwork
  readonly #random: SeededRandom
  readonly #machine: (id: string) => Machine
  readonly #frozen = new Map<string, { sinceMs: number; suspended: boolean }>()

  constructor(
    stage: Stage,
    network: MemoryNetwork,
    random: SeededRandom,
    machine: (id: string) => Machine,
  ) {
    this.#stage = stage
    this.#network = network
    this.#random = random
    this.#machine = machine
  }

  /**
   * Freezes the process like SIGSTOP, or with `suspend` the whole machine, whose monotonic clock
   * stops, too.
   */
  freeze(id: string, forMs: number, options: { readonly suspend?: boolean } = {}): void {
    const machine = this.#machine(id)
    if (machine.process === undefined || machine.clock.held) return
    const { suspend = false } = options
    this.#stage.timeline.add(this.#stage.nowMs, id, suspend ? 'suspend' : 'freeze', forMs)
    this.#stage.disturbances += 1
    const pause = { sinceMs: this.#stage.nowMs, suspended: suspend }
    this.#frozen.set(id, pause)
    machine.clock.hold()
    this.#network.freeze(machine.address)
    this.#stage.later(forMs, () => {
      if (this.#frozen.get(id) === pause) this.thaw(id)
    })
  }

  thaw(id: string): void {
    const pause = this.#frozen.get(id)
    const machine = this.#machine(id)
    if (pause === undefined) return
    this.#frozen.delete(id)
    const frozenMs = this.#stage.nowMs - pause.sinceMs
    this.#stage.timeline.add(this.#stage.nowMs, id, 'thaw')
    const framesFirst = this.#random.chance(0.5)
    if (framesFirst) this.#network.thaw(machine.address)
    machine.clock.release(pause.suspended ? frozenMs : 0)
    if (!framesFirst) this.#network.thaw(machine.address)
    this.#stage.tell((checker) => checker.thawed?.(machine, frozenMs))
  }

  isFrozen(id: string): boolean {
    return this.#frozen.has(id)
  }

  get frozen(): string[] {
    return [...this.#frozen.keys()]
  }

  /** The process of a machine has ended, and with it its pause. */
  ended(id: string): void {
    this.#frozen.delete(id)
  }
}
