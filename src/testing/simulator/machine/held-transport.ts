/**
 * Delays what would reach a frozen process: the network holds its frames, and this transport the
 * results of its dials and the ends of its connections.
 */
import type { CloseCause, Connection, Transport } from '../../../interfaces/transport.js'
import type { MachineClock } from './virtual-clock.js'

/** The same transport, for a process on this machine. */
export function heldTransport(inner: Transport, machine: MachineClock): Transport {
  return {
    name: inner.name,
    listen: (accept, limits) => {
      return inner.listen((connection) => {
        hold(connection, machine)
        machine.run(() => accept(connection))
      }, limits)
    },
    dial: (address, limits, signal) =>
      new Promise((resolve, reject) => {
        inner.dial(address, limits, signal).then(
          (connection) => {
            hold(connection, machine)
            machine.run(() => resolve(connection))
          },
          (error: unknown) => machine.run(() => reject(error)),
        )
      }),
  }
}

function hold(connection: Connection, machine: MachineClock): void {
  const onClose = connection.onClose.bind(connection)
  connection.onClose = (closed: (cause: CloseCause) => void): void => {
    onClose((cause) => machine.run(() => closed(cause)))
  }
}
