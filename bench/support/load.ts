import { Histogram } from './statistics.js'

/** The size of a load. */
export interface Load {
  /** Calls under way at any moment; each caller awaits its answer before it calls again. */
  readonly callers: number
  readonly seconds: number
  /** Bytes of a value. */
  readonly bytes: number
}

/** The results of a load. Latencies are measured at the caller. */
export interface LoadResult {
  readonly operations: number
  readonly seconds: number
  readonly p50Micros: number
  readonly p99Micros: number
  readonly worstMicros: number
}

/** Latencies are recorded in tenths of a microsecond. */
const tenths = 10

/** The clock and the records of one load. */
export class LoadMeter {
  readonly #histogram = new Histogram()
  readonly #startMs = performance.now()
  readonly #endMs: number

  constructor(load: Load) {
    this.#endMs = this.#startMs + load.seconds * 1000
  }

  /** Records a call; returns whether there is time for another one. */
  done(calledMs: number, nowMs: number): boolean {
    this.#histogram.record((nowMs - calledMs) * 1000 * tenths)
    return nowMs < this.#endMs
  }

  result(): LoadResult {
    const histogram = this.#histogram
    return {
      operations: histogram.count,
      seconds: (performance.now() - this.#startMs) / 1000,
      p50Micros: histogram.quantile(0.5) / tenths,
      p99Micros: histogram.quantile(0.99) / tenths,
      worstMicros: histogram.worst / tenths,
    }
  }
}

/**
 * Keeps `callers` calls under way for the duration of the load; a caller also ends when its call
 * returns false.
 */
export async function closedLoop(
  load: Load,
  call: (caller: number) => Promise<unknown>,
): Promise<LoadResult> {
  const meter = new LoadMeter(load)
  const caller = async (index: number): Promise<void> => {
    let calledMs = performance.now()
    for (;;) {
      if ((await call(index)) === false) return
      const nowMs = performance.now()
      if (!meter.done(calledMs, nowMs)) return
      calledMs = nowMs
    }
  }
  await Promise.all(Array.from({ length: load.callers }, (_, index) => caller(index)))
  return meter.result()
}

/** A load as a sample of a round. */
export function asSample(result: LoadResult): Readonly<Record<string, number>> {
  return {
    writesPerSecond: result.operations / result.seconds,
    p50Micros: result.p50Micros,
    p99Micros: result.p99Micros,
  }
}
