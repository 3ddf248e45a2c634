import type { Scheduler } from './scheduler.js'

/** The quality of one direction between two addresses. */
export interface LinkQuality {
  /** Minimum latency in milliseconds. Default 0. */
  readonly latencyMs?: number
  /**
   * Maximum random delay in milliseconds, in addition to the latency. The order within a connection
   * is preserved. Default 0.
   */
  readonly jitterMs?: number
  /** The share of frames, 0 to 1, whose loss breaks their connection. Default 0. */
  readonly lossRate?: number
  /** The share of frames, 0 to below 1, that are lost and sent again, as with TCP. Default 0. */
  readonly resendRate?: number
  /** Bandwidth in bytes per second, shared by all connections. Default: unlimited. */
  readonly bytesPerSecond?: number
}

/** Milliseconds until a lost frame is sent again; doubled each further time. */
const resendMs = 200
/** Times that one frame may be lost; then it arrives. */
const resendsMax = 6

/** One address of the network, as a machine with one process on it. */
export interface Machine {
  readonly address: string
  /** Incremented when its process dies; actions of an older generation have no effect. */
  generation: number
  isolated: boolean
  /** Whether incoming dials are dropped; open connections stay. */
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
  /** Packets of dials, held back while the link is blocked. */
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

  /** Forgets the backlog of the previous bandwidth. */
  free(): void {
    this.#busyUntilMs = 0
  }

  /** The delay of a frame because of losses. */
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

  /** Sends the held packets again. */
  release(): void {
    for (const packet of this.held.splice(0)) this.#scheduler.after(this.delayMs(0), packet)
  }
}

export function complete(quality: LinkQuality): Required<LinkQuality> {
  const { latencyMs = 0, jitterMs = 0, lossRate = 0, resendRate = 0 } = quality
  const { bytesPerSecond = Number.POSITIVE_INFINITY } = quality
  return { latencyMs, jitterMs, lossRate, resendRate, bytesPerSecond }
}
