/**
 * The links of a simulated world, with every fault that a network has: cuts in one direction or
 * both, and links that are slow, narrow or lossy.
 */
import type { LinkQuality, MemoryNetwork } from '../../transport/memory.js'
import type { Stage } from './stage.js'

/** Options of a cut. */
export interface CutOptions {
  readonly oneWay?: boolean
  /** Whether frames in flight are delivered. */
  readonly inFlight?: boolean
}

const soundLink: LinkQuality = {
  lossRate: 0,
  resendRate: 0,
  bytesPerSecond: Number.POSITIVE_INFINITY,
}

export class Links {
  /** When cuts last ended, after which the frames that they held arrive. */
  healedMs: number = Number.NEGATIVE_INFINITY
  /** The number of links that were narrowed: in total, and since the last `mend`. */
  readonly narrowed: { inAll: number; now: number } = { inAll: 0, now: 0 }
  /** The lowest bytes a second that a link was narrowed to since the last `mend`. */
  narrowest: number = Number.POSITIVE_INFINITY
  /** The number of links that are slower than normal. */
  slowed: number = 0
  readonly #stage: Stage
  readonly #network: MemoryNetwork
  readonly #addressOf: (id: string) => string
  readonly #cuts = new Set<string>()

  constructor(stage: Stage, network: MemoryNetwork, addressOf: (id: string) => string) {
    this.#stage = stage
    this.#network = network
    this.#addressOf = addressOf
  }

  /** Cuts the link from one node to the other, in both directions unless `oneWay`. */
  cut(from: string, to: string, options: CutOptions = {}): void {
    this.#stage.timeline.add(this.#stage.nowMs, from, options.oneWay === true ? 'cut>' : 'cut', to)
    this.#stage.disturbances += 1
    this.#cut(from, to, options)
    if (options.oneWay !== true) this.#cut(to, from, options)
  }

  #cut(from: string, to: string, { inFlight = false }: CutOptions): void {
    this.#cuts.add(`${from}>${to}`)
    if (inFlight) this.#stage.timeline.count('inFlight')
    this.#network.cut(this.#addressOf(from), this.#addressOf(to), { inFlight })
  }

  /** Cuts all links between the two groups. */
  partition(one: readonly string[], other: readonly string[]): void {
    for (const left of one) for (const right of other) this.cut(left, right)
  }

  /** Ends all cuts. @param options - `break`: connections with held frames break */
  heal(options: { readonly break?: boolean } = {}): void {
    if (this.#cuts.size === 0) return
    this.#stage.timeline.add(this.#stage.nowMs, 'network', 'heal')
    this.healedMs = this.#stage.nowMs
    for (const link of this.#cuts) {
      const [from = '', to = ''] = link.split('>')
      this.#network.heal(this.#addressOf(from), this.#addressOf(to), options)
    }
    this.#cuts.clear()
  }

  /** Whether any link is cut. */
  get hasCuts(): boolean {
    return this.#cuts.size > 0
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.has(`${from}>${to}`)
  }

  /** Records a fault of links, for which promise 2 makes an exception. */
  disturb(id: string, what: string, detail?: unknown): void {
    this.#stage.disturbances += 1
    this.slowed += 1
    this.#stage.timeline.add(this.#stage.nowMs, id, what, detail)
  }

  /** Degrades both directions of a link for a while. */
  degrade(one: string, other: string, what: string, quality: LinkQuality, forMs: number): void {
    this.disturb(one, what, { other, ...quality })
    if (quality.bytesPerSecond !== undefined) {
      this.narrowed.inAll += 1
      this.narrowed.now += 1
      this.narrowest = Math.min(this.narrowest, quality.bytesPerSecond)
    }
    this.#setLinks(one, other, quality)
    this.#stage.endsAfter(forMs, () => this.#setLinks(one, other, soundLink))
  }

  #setLinks(one: string, other: string, quality: LinkQuality): void {
    const [left, right] = [this.#addressOf(one), this.#addressOf(other)]
    this.#network.setLink(left, right, quality)
    this.#network.setLink(right, left, quality)
  }

  /** Slows both directions of a link. */
  slow(one: string, other: string, latencyMs: number): void {
    this.#stage.disturbances += 1
    this.slowed += 1
    this.#stage.timeline.add(this.#stage.nowMs, one, 'slow', { other, latencyMs })
    this.#setLinks(one, other, { latencyMs })
  }

  /** Ends all faults of the links between these members; each has the given latency then. */
  mend(ids: readonly string[], latencyMs: number): void {
    this.heal()
    this.slowed = 0
    this.narrowed.now = 0
    this.narrowest = Number.POSITIVE_INFINITY
    for (const one of ids) {
      for (const other of ids) {
        if (one === other) continue
        const [from, to] = [this.#addressOf(one), this.#addressOf(other)]
        this.#network.setLink(from, to, { ...soundLink, latencyMs })
      }
    }
  }
}
