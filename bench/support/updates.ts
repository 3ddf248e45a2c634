import { machineMs, type Written } from './node-job.js'

/** Updates under way at once in a stream; more only load the garbage collector. */
const streamWindow = 2048

/**
 * Makes so many updates, a bounded number of them under way at once; gives the time of the first
 * call.
 */
export async function streamUpdates(
  count: number,
  update: () => Promise<unknown>,
): Promise<number> {
  const startMs = machineMs()
  let underWay = 0
  let failure: unknown
  let roomWanted: (() => void) | undefined
  const done = (): void => {
    underWay -= 1
    if (underWay > streamWindow / 2 || roomWanted === undefined) return
    const room = roomWanted
    roomWanted = undefined
    room()
  }
  const failed = (error: unknown): void => {
    failure ??= error
    done()
  }
  for (let sent = 0; sent < count; sent += 1) {
    if (underWay >= streamWindow) {
      await new Promise<void>((resolve) => {
        roomWanted = resolve
      })
    }
    if (failure !== undefined) throw failure
    underWay += 1
    update().then(done, failed)
  }
  return startMs
}

/** Acknowledgements further apart than this, in milliseconds, end a run of acknowledgements. */
const busyGapMs = 0.5
/** Interval in milliseconds at which callers check whether their node is active. */
const lookAgainMs = 1

/** Callers that write while their node is active, and the outcome of their writes. */
export class Writers {
  readonly #node: { readonly role: string }
  readonly #update: () => Promise<unknown>
  readonly #callers: Promise<void>[]
  readonly #busy: [number, number][] = []
  readonly #failures: string[] = []
  #acknowledged = 0
  #worstMs = 0
  #ended = false

  constructor(node: { readonly role: string }, callers: number, update: () => Promise<unknown>) {
    this.#node = node
    this.#update = update
    this.#callers = Array.from({ length: callers }, () => this.#run())
  }

  /** Ends the callers after the write that each has under way. */
  async end(): Promise<Written> {
    this.#ended = true
    await Promise.all(this.#callers)
    return {
      acknowledged: this.#acknowledged,
      failures: this.#failures,
      busy: this.#busy,
      worstMs: this.#worstMs,
    }
  }

  async #run(): Promise<void> {
    while (!this.#ended) {
      if (this.#node.role === 'active') await this.#write()
      else await new Promise((resolve) => setTimeout(resolve, lookAgainMs))
    }
  }

  async #write(): Promise<void> {
    const calledMs = machineMs()
    try {
      await this.#update()
    } catch (error) {
      this.#failures.push(codeOf(error))
      return
    }
    const nowMs = machineMs()
    this.#acknowledged += 1
    this.#worstMs = Math.max(this.#worstMs, nowMs - calledMs)
    const last = this.#busy.at(-1)
    if (last !== undefined && nowMs - last[1] <= busyGapMs) last[1] = nowMs
    else this.#busy.push([nowMs, nowMs])
  }
}

function codeOf(error: unknown): string {
  const code = (error as { readonly code?: unknown }).code
  return typeof code === 'string' ? code : String(error)
}
