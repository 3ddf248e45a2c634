/**
 * A TCP proxy for the connections that one node dials to another. Each direction can be cut
 * separately: its bytes then stop and continue when the cut is mended, as in a network that loses
 * packets for a while.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'

/** `forth`: from the dialling side; `back`: to it. */
export type Direction = 'forth' | 'back'

interface Pair {
  readonly near: Socket
  readonly far: Socket
}

export class LinkProxy {
  readonly port: number
  readonly #target: number
  readonly #pairs = new Set<Pair>()
  readonly #cut = new Set<Direction>()
  #server: Server | undefined
  /** Bytes that passed through, in both directions. */
  bytes = 0

  constructor(port: number, target: number) {
    this.port = port
    this.#target = target
  }

  /** Listens. A closed proxy refuses connections, like the machine of a process that has ended. */
  async open(): Promise<void> {
    if (this.#server !== undefined) return
    const server = createServer({ pauseOnConnect: true }, (near) => this.#join(near))
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.port, '127.0.0.1', resolve)
    })
  }

  /** Stops listening and ends all connections. */
  close(): void {
    this.#server?.close()
    this.#server = undefined
    this.reset()
  }

  /** Ends all connections and continues to listen. */
  reset(): void {
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy()
      far.resetAndDestroy()
    }
    this.#pairs.clear()
  }

  cut(direction: Direction): void {
    this.#cut.add(direction)
    for (const pair of this.#pairs) this.#pumpAll(pair)
  }

  mend(direction: Direction): void {
    this.#cut.delete(direction)
    for (const pair of this.#pairs) this.#pumpAll(pair)
  }

  #join(near: Socket): void {
    const far = connect({ host: '127.0.0.1', port: this.#target, noDelay: true })
    near.setNoDelay(true)
    const pair = { near, far }
    this.#pairs.add(pair)
    this.#watch(near, far, 'forth')
    this.#watch(far, near, 'back')
    for (const socket of [near, far]) {
      socket.once('close', () => this.#pumpAll(pair))
      socket.once('error', () => {
        near.resetAndDestroy()
        far.resetAndDestroy()
      })
    }
    far.once('connect', () => this.#pumpAll(pair))
  }

  #watch(from: Socket, to: Socket, direction: Direction): void {
    from.on('data', (bytes: Buffer) => {
      this.bytes += bytes.length
      if (!to.write(bytes)) from.pause()
    })
    from.on('end', () => {
      if (!this.#cut.has(direction)) to.end()
    })
    to.on('drain', () => this.#pump(from, direction))
  }

  /** Forwards bytes and ends of connections, unless their direction is cut. */
  #pumpAll(pair: Pair): void {
    const { near, far } = pair
    if (near.destroyed && !this.#cut.has('forth')) far.destroy()
    if (far.destroyed && !this.#cut.has('back')) near.destroy()
    if (near.destroyed && far.destroyed) this.#pairs.delete(pair)
    if (far.connecting) return
    this.#pump(near, 'forth')
    this.#pump(far, 'back')
  }

  #pump(from: Socket, direction: Direction): void {
    if (this.#cut.has(direction)) from.pause()
    else from.resume()
  }
}
