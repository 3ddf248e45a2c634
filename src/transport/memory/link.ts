import type { Scheduler } from './scheduler.js'

/** How one direction between two addresses behaves. */
export interface LinkQuality {
  /** Milliseconds that everything takes at least. Default 0. */
  readonly latencyMs?: number
  /**
   * Milliseconds that are added at random, up to this. Order within a connection stays. Default 0.
   */
  readonly jitterMs?: number
  /** The share of frames, 0 to 1, whose loss breaks their connection. Default 0. */
  readonly lossRate?: number
  /**
   * The share of frames, 0 to below 1, that are lost once and sent again, as TCP does it. Default
   * 0.
   */
  readonly resendRate?: number
  /** Bytes that get through in a second, all connections together. Default: no limit. */
  readonly bytesPerSecond?: number
}

/** Milliseconds until a lost frame is sent again; twice as long each further time. */
const resendMs = 200
/** Times that one frame may be lost; then it arrives. */
const resendsMax = 6

/** One address of the network, as a machine with one process on it. */
export interface Machine {
  readonly address: string
  /** Raised when its process dies: what an older generation does is void. */
  generation: number
  isolated: boolean
  /** Nothing new gets in; what stands already goes on. */
  closed: boolean
  off: boolean
  frozen: boolean
}

/** One direction between two machines. */
export class Link {
  readonly from: Machine
  readonly to: Machine
  cut = false
  quality: Required<LinkQuality>
  /** Packets that belong to no connection yet (dials), held while the way is blocked. */
  readonly held: (() => void)[] = []
  readonly #scheduler: Scheduler
  readonly #random: { number(): number }
  #busyUntilMs = 0

  constructor(
    from: Machine,
    to: Machine,
    quality: LinkQuality,
    scheduler: Scheduler,
    random: { number(): number },
  ) {
    this.from = from
    this.to = to
    this.quality = complete(quality)
    this.#scheduler = scheduler
    this.#random = random
  }

  /** Whether no packet gets through. */
  blocked(): boolean {
    return this.cut || this.from.isolated || this.from.off || this.to.isolated || this.to.off
  }

  delayMs(bytes: number): number {
    const { latencyMs, jitterMs, bytesPerSecond } = this.quality
    const jitter = (jitterMs > 0 ? this.#random.number() * jitterMs : 0) + this.#resendsMs()
    if (bytesPerSecond === Number.POSITIVE_INFINITY) return latencyMs + jitter
    const nowMs = this.#scheduler.nowMs()
    this.#busyUntilMs = Math.max(this.#busyUntilMs, nowMs) + (bytes * 1000) / bytesPerSecond
    return latencyMs + jitter + this.#busyUntilMs - nowMs
  }

  /** What waited for the rate that was goes by the present one. */
  free(): void {
    this.#busyUntilMs = 0
  }

  /** How long a frame takes longer because it was lost on the way. */
  #resendsMs(): number {
    const { resendRate } = this.quality
    let sumMs = 0
    let resends = 0
    while (resendRate > 0 && resends < resendsMax && this.#random.number() < resendRate) {
      sumMs += resendMs * 2 ** resends
      resends += 1
    }
    return sumMs
  }

  /** Whether the next frame is lost. */
  loses(): boolean {
    return this.quality.lossRate > 0 && this.#random.number() < this.quality.lossRate
  }

  /** Carries one packet that belongs to no connection. */
  carry(arrive: () => void): void {
    const packet = (): void => {
      if (this.blocked()) this.held.push(packet)
      else arrive()
    }
    this.#scheduler.after(this.delayMs(0), packet)
  }

  /** Sends what was held once more. */
  release(): void {
    for (const packet of this.held.splice(0)) this.#scheduler.after(this.delayMs(0), packet)
  }
}

export function complete(quality: LinkQuality): Required<LinkQuality> {
  const { latencyMs = 0, jitterMs = 0, lossRate = 0, resendRate = 0 } = quality
  const { bytesPerSecond = Number.POSITIVE_INFINITY } = quality
  return { latencyMs, jitterMs, lossRate, resendRate, bytesPerSecond }
}
