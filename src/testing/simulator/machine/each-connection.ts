/**
 * What all transports of the simulator have in common that change or watch connections, and nothing
 * else.
 */
import type { Connection, Transport } from '../../../interfaces/transport.js'

/** The same transport; `prepare` gets each connection before its user does, accepted or dialled. */
export function eachConnection(
  inner: Transport,
  prepare: (connection: Connection) => void,
): Transport {
  return {
    name: inner.name,
    listen: (accept, limits) =>
      inner.listen((connection) => {
        prepare(connection)
        accept(connection)
      }, limits),
    dial: async (address, limits, signal) => {
      const connection = await inner.dial(address, limits, signal)
      prepare(connection)
      return connection
    },
  }
}
