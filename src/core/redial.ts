/**
 * Which connections are dialled anew although they stand. One into a network that lost it can stay
 * open for minutes, and longer than the fault lasts; nothing comes over it, or nothing gets out.
 */
import { type CoreState, type Peer, peersOf } from './state/state.js'

/**
 * Asked whenever the timer runs out, which is at least once a heartbeat. Whoever looks at the time
 * in between may be late, with messages unread that would show that a connection is of use.
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

/** For how long the peer has said that it does not hear us, whatever our role. */
function noteUnheard(core: CoreState, peer: Peer): number {
  const isHeard = peer.view?.hears.includes(core.options.nodeId) ?? true
  peer.unheardSinceMs = isHeard ? undefined : (peer.unheardSinceMs ?? core.nowMs)
  return core.nowMs - (peer.unheardSinceMs ?? core.nowMs)
}
