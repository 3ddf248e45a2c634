/**
 * Streams that deliver entries later than the other connections of their machine do, because lost
 * packets delay only the connection that they are on.
 */

import type { Clock } from '../../../interfaces/clock.js'
import type { CloseCause, Connection, Transport } from '../../../interfaces/transport.js'
import { frameTypes } from '../../../replication/frame-types.js'

/**
 * The same transport; streams that it dials deliver everything `lagMs` later, from the first entry
 * on.
 */
export function lateStreams(inner: Transport, clock: Clock, lagMs: number): Transport {
  return {
    name: inner.name,
    listen: (accept, limits) => inner.listen(accept, limits),
    dial: async (address, limits, signal) => {
      const connection = await inner.dial(address, limits, signal)
      delay(connection, clock, lagMs)
      return connection
    },
  }
}

function delay(connection: Connection, clock: Clock, lagMs: number): void {
  const onFrame = connection.onFrame.bind(connection)
  const onClose = connection.onClose.bind(connection)
  let isLate = false
  let ended = false
  connection.onFrame = (receive): void =>
    onFrame((frame) => {
      isLate ||= frame[0] === frameTypes.entry
      if (!isLate) return receive(frame)
      clock.setTimer(lagMs, () => {
        if (!ended) receive(frame)
      })
    })
  connection.onClose = (closed: (cause: CloseCause) => void): void =>
    onClose((cause) => {
      ended = true
      closed(cause)
    })
}
