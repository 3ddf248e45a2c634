/** Emits events of the parts of a node as events of the node. */

import type { CoreEvent } from '../../core/state/types.js'
import type { Lag } from '../../replication/in-sync/lag-meter.js'
import type { PeerLag } from '../contract/event-parts.js'
import type { Emit, NodeEvents } from '../contract/events.js'

type EventName = Exclude<keyof NodeEvents, 'error'>

/** An event of a part, with its name and the fields that listeners get. */
export type NamedEvent = {
  [Name in EventName]: NodeEvents[Name][0] extends Record<string, never>
    ? { readonly name: Name }
    : { readonly name: Name } & NodeEvents[Name][0]
}[EventName]

/** Emits an event of a part unchanged. */
export function emitNamed(emit: Emit, { name, ...event }: NamedEvent): void {
  const emitAny: (name: EventName, event: never) => void = emit
  emitAny(name, event as never)
}

export function reportCore(emit: Emit, nodeId: string, event: CoreEvent): void {
  if (event.name !== 'failover') return emitNamed(emit, event)
  const { incident, from, term } = event
  emit('failover', { incident, from, to: nodeId, term })
}

/** The lag of a peer, as events and the status show it. */
export function peerLagOf({ lagSeq, lagBytes, lagMs }: Lag): PeerLag {
  return { changes: lagSeq, bytes: lagBytes, ms: Math.round(lagMs) }
}
