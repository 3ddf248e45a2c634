/** Wraps a transport so that each of its connections can be changed or watched. */
import type { Connection, Transport } from '../../../interfaces/transport.js'

/**
 * The same transport; `prepare` is called with each accepted or dialled connection before its user
 * gets it.
 */
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
