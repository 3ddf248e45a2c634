/**
 * Decides which open connections are replaced by a new dial. A connection whose packets are dropped
 * can stay open for minutes, longer than the fault, while messages of one or both directions are
 * lost.
 */
import { type CoreState, type Peer, peersOf } from './state/state.js'

/**
 * Called when the timer expires, at least once per heartbeat. Other inputs may be late, while
 * messages that prove a connection alive are still unread.
 */
export function checkRedials(core: CoreState): void {
  const { deadMs } = core.options
  for (const peer of peersOf(core)) {
    if (!peer.link) continue
    const silentMs = core.nowMs - (peer.heardAtMs ?? Number.NEGATIVE_INFINITY)
    const unheardMs = noteUnheard(core, peer)
    if (Math.max(silentMs, unheardMs) >= deadMs)
      core.effects.push({ type: 'redial', peer: peer.id, olderThanMs: deadMs })
  }
}

/** Milliseconds since the peer first reported that it does not hear this node, in any role. */
function noteUnheard(core: CoreState, peer: Peer): number {
  const isHeard = peer.view?.hears.includes(core.options.nodeId) ?? true
  peer.unheardSinceMs = isHeard ? undefined : (peer.unheardSinceMs ?? core.nowMs)
  return core.nowMs - (peer.unheardSinceMs ?? core.nowMs)
}
