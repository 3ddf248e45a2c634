/** Since when nothing is wrong with a machine, or with the link between two. */
import type { World } from '../world.js'

/** What may end on its own before anybody looks again; any more of them is trouble for all. */
const shortFaults = ['reset', 'heal', 'halfOpen', 'failCalls', 'unread', 'closePort'] as const

export class Calm {
  readonly #world: World
  /** By machine, and by pair of machines: when something was wrong with it the last time. */
  readonly #troubled = new Map<string, number>()
  readonly #boots = new Map<string, number>()
  /** Machines whose storage failed and does not work again. */
  readonly #failed = new Set<string>()
  #eventsRead = 0
  #allMs = Number.NEGATIVE_INFINITY
  #short = 0
  #disturbances = 0
  #lookedMs = Number.NEGATIVE_INFINITY

  readonly #narrowIsSound: boolean

  /** @param options - `narrowIsSound`: few bytes that get through are no trouble */
  constructor(world: World, options: { readonly narrowIsSound?: boolean } = {}) {
    this.#world = world
    this.#narrowIsSound = options.narrowIsSound === true
  }

  /** To be called often. */
  look(): void {
    const { nowMs } = this.#world
    if (nowMs === this.#lookedMs) return
    this.#lookedMs = nowMs
    this.#lookAtAll(nowMs)
    this.#readEvents()
    const ids = this.#world.members.map(({ id }) => id)
    for (const id of ids) {
      if (!this.#isSound(id)) this.#troubled.set(id, nowMs)
      // Building the names of all pairs each time would cost more than everything else here.
      if (!this.#world.hasCuts) continue
      for (const other of ids) {
        if (this.#world.isCut(id, other)) this.#troubled.set(pair(id, other), nowMs)
      }
    }
  }

  #lookAtAll(nowMs: number): void {
    const { timeline, narrowed } = this.#world
    const disturbances = this.#world.disturbances - (this.#narrowIsSound ? narrowed.inAll : 0)
    const slowLinks = this.#world.slowLinks - (this.#narrowIsSound ? narrowed.now : 0)
    let short = 0
    for (const name of shortFaults) short += timeline.counts.get(name) ?? 0
    if (short !== this.#short || disturbances !== this.#disturbances || slowLinks > 0) {
      this.#allMs = nowMs
    }
    this.#short = short
    this.#disturbances = disturbances
  }

  #isSound(id: string): boolean {
    const machine = this.#world.machine(id)
    const { process, boots } = machine
    const isOther = this.#boots.get(id) !== boots
    this.#boots.set(id, boots)
    // The next process has a storage of its own.
    if (isOther) this.#failed.delete(id)
    if (isOther || process?.started !== 'started' || process.stopping !== undefined) return false
    if (machine.hangsUntilMs > this.#world.nowMs) return false
    return !this.#failed.has(id) && !machine.clock.held && !machine.damaged && machine.isDiskSound
  }

  /**
   * Whether a storage failed and does not work again yet; the call that failed may have been the
   * only one.
   */
  #readEvents(): void {
    const { events } = this.#world
    for (const { name, node } of events.slice(this.#eventsRead)) {
      if (name === 'storageFailed') this.#failed.add(node)
      if (name === 'storageRecovered') this.#failed.delete(node)
    }
    this.#eventsRead = events.length
  }

  /** When something was wrong with one of two machines or their link the last time. */
  troubledMs(one: string, other: string): number {
    const keys = [one, other, pair(one, other)]
    const times = keys.map((key) => this.#troubled.get(key) ?? Number.NEGATIVE_INFINITY)
    return Math.max(this.#allMs, ...times)
  }

  /** When links between members were in trouble the last time. */
  get linksTroubledMs(): number {
    const pairs = [...this.#troubled].filter(([key]) => key.includes(' '))
    return Math.max(this.#allMs, ...pairs.map(([, atMs]) => atMs))
  }
}

function pair(one: string, other: string): string {
  return one < other ? `${one} ${other}` : `${other} ${one}`
}
