/**
 * A transport whose connections can become black holes, one by one: they stay open, and deliver
 * nothing.
 */
import type { Connection, Transport } from '../../src/interfaces/transport.js'

/** The direction in which nothing is delivered, as seen from the dialling side. */
export type Hole = 'in' | 'out' | 'both'

interface Dialled {
  readonly connection: Connection
  receivedBytes: number
  hole: Hole | undefined
}

/** See the head of the file. */
export class HoledTransport implements Transport {
  readonly name: string
  readonly #inner: Transport
  readonly #dialled: Dialled[] = []

  constructor(inner: Transport) {
    this.#inner = inner
    this.name = inner.name
  }

  listen: Transport['listen'] = (accept, limits) => this.#inner.listen(accept, limits)

  dial: Transport['dial'] = async (address, limits, signal) => {
    const connection = await this.#inner.dial(address, limits, signal)
    const dialled: Dialled = { connection, receivedBytes: 0, hole: undefined }
    this.#dialled.push(dialled)
    this.#wrap(dialled)
    return connection
  }

  #wrap(dialled: Dialled): void {
    const { connection } = dialled
    const send = connection.send.bind(connection)
    const onFrame = connection.onFrame.bind(connection)
    const onClose = connection.onClose.bind(connection)
    connection.send = (parts, taken) => {
      if (dialled.hole !== 'out' && dialled.hole !== 'both') return send(parts, taken)
      taken?.()
      return true
    }
    connection.onFrame = (receive, lend) =>
      onFrame((frame) => {
        dialled.receivedBytes += frame.length
        if (dialled.hole !== 'in' && dialled.hole !== 'both') receive(frame)
      }, lend)
    connection.onClose = (closed) =>
      onClose((cause) => {
        if (dialled.hole === undefined) closed(cause)
      })
  }

  /** Makes a black hole of the connection that received most; under load that is the stream. */
  makeHole(hole: Hole): void {
    const [busiest] = [...this.#dialled].sort(
      (one, other) => other.receivedBytes - one.receivedBytes,
    )
    if (busiest === undefined) throw new Error('nothing was dialled')
    busiest.hole = hole
  }
}
