/**
 * The changes of role, one function for each role, with all resets that belong to it. The role is
 * changed only here.
 */
import { assertInvariant } from '../errors.js'
import type { Term } from '../history/position.js'
import { dialTimeMs, heardIds } from './standing/liveness.js'
import { arm, disarm, emit, takeId } from './state/acts.js'
import { decide } from './state/explain.js'
import type { Role } from './state/facts.js'
import { type CoreState, peersOf, type Tenure } from './state/state.js'

const legal: Readonly<Record<Role, readonly Role[]>> = {
  stopped: ['discovering'],
  discovering: ['restoring', 'active', 'stopped'],
  restoring: ['standby', 'discovering', 'stopped'],
  standby: ['restoring', 'discovering', 'stopped'],
  active: ['discovering', 'stopped'],
}

function become(core: CoreState, role: Role, reason: string, term: Term | undefined): void {
  assertInvariant(legal[core.role].includes(role), `no way from ${core.role} to ${role}`)
  decide(core, 'role', role, { from: core.role, reason, epoch: term?.epoch })
  core.role = role
  core.announce = true
  core.discovery = undefined
  core.round = undefined
  core.pledge = undefined
  core.following = undefined
  core.tenure = undefined
  core.otherRound = undefined
  core.holdsFor = []
  // A change of role ends all freezes, because the shell drops them with the tenure.
  core.frozenFor.clear()
  disarm(
    core,
    'asking',
    'discovery',
    'wait',
    'backoff',
    'round',
    'pledge',
    'refollow',
    'otherRound',
    'silent',
  )
  core.effects.push({ type: 'role', role, reason, term })
}

/**
 * Starts to look for an active. The node leaves the stream that it follows and keeps its promise
 * and its copy.
 */
export function becomeDiscovering(core: CoreState, reason: string): void {
  const followed = core.following !== undefined
  const first = core.role === 'stopped'
  if (!first) core.tookPart = true
  for (const peer of peersOf(core)) peer.unfetchableSinceMs = undefined
  markActiveLost(core)
  if (core.role === 'active') noteServed(core)
  become(core, 'discovering', reason, undefined)
  if (followed) core.effects.push({ type: 'unfollow' })
  if (first) arm(core, 'startup', core.options.startupWaitMs)
  askAgain(core)
}

/** Notes that from now on another member may serve. */
function noteServed(core: CoreState): void {
  core.served = { atMs: core.nowMs, term: core.tenure?.term, hears: heardIds(core) }
}

/**
 * Silent members whose data is needed are waited for from when the active was last heard, so that
 * they are waited for only once.
 */
function markActiveLost(core: CoreState): void {
  const active = core.followed === undefined ? undefined : core.peers.get(core.followed.id)
  const lastHeardMs = core.role === 'active' ? undefined : active?.heardAtMs
  core.timers.set('activeLost', Math.min(core.nowMs, lastHeardMs ?? core.nowMs))
}

/** Starts a new search, which queries all members again and excludes none. */
export function askAgain(core: CoreState): void {
  assertInvariant(core.role === 'discovering', 'only a discovering node asks')
  core.discovery = {
    queryId: takeId(core),
    answered: new Set(),
    complete: false,
    waitFor: undefined,
    excluded: new Set(),
  }
  arm(core, 'discovery', core.options.discoveryMs)
  arm(core, 'silent', dialTimeMs(core))
  disarm(core, 'wait')
  core.announce = true
}

export function becomeRestoring(core: CoreState, id: string, term: Term, persistId?: number): void {
  core.tookPart = true
  become(core, 'restoring', `following ${id}`, term)
  core.followed = { id, term }
  core.following = { id, term, persistId, attempts: 0 }
  core.leftOut = []
  core.served = undefined
  for (const peer of peersOf(core)) peer.reached = undefined
  core.reported.clear()
  core.withoutPeers.clear()
}

export function becomeStandby(core: CoreState): void {
  const { following } = core
  assertInvariant(following !== undefined, 'a standby follows')
  become(core, 'standby', `caught up with ${following.id}`, following.term)
  core.counted = { atMs: core.nowMs, hears: core.peers.get(following.id)?.view?.hears ?? [] }
  core.following = following
  core.wasReplica = true
  core.joining = false
  core.attempts = 0
}

/** How a tenure begins. */
interface Beginning extends Pick<Tenure, 'term' | 'forks' | 'startedWith' | 'named'> {
  readonly reason: string
}

export function becomeActive(core: CoreState, beginning: Beginning): void {
  const { reason, ...tenure } = beginning
  become(core, 'active', reason, tenure.term)
  core.tookPart = true
  core.wasReplica = true
  core.attempts = 0
  core.tenure = {
    ...tenure,
    reopening: undefined,
    asking: undefined,
    rivals: new Map(),
  }
  if (tenure.forks) core.effects.push({ type: 'fork' })
  core.leftOut = []
  trustSet(core)
  core.reported.clear()
  core.withoutPeers.clear()
  for (const peer of peersOf(core)) {
    peer.counted = 'unknown'
    peer.deafSinceMs = undefined
  }
}

/** Trusts the in-sync set of this node's journal again. */
export function trustSet(core: CoreState): void {
  core.setDoubted = false
  disarm(core, 'doubt')
}

/** Gives up the role without a handover. */
export function stepDown(core: CoreState, reason: string): void {
  assertInvariant(core.tenure !== undefined, 'only an active steps down')
  emit(core, { name: 'steppedDown', reason, term: core.tenure.term })
  becomeDiscovering(core, reason)
}

export function becomeStopped(core: CoreState, reason: string): void {
  const followed = core.following !== undefined
  become(core, 'stopped', reason, undefined)
  if (followed) core.effects.push({ type: 'unfollow' })
  core.announce = false
  core.started = false
}
