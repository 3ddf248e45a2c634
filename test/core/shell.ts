/**
 * The made-up shell of each node: it carries out effects on a copy that is a history and a number.
 */

import type { CopyFacts, Role } from '../../src/core/state/facts.js'
import type { CoreMessage } from '../../src/core/state/messages.js'
import type { CoreEffect, CoreEvent } from '../../src/core/state/types.js'
import { viewOf } from '../../src/core/step.js'
import { relate, type Term, withTerm } from '../../src/history/position.js'
import { fetchSlowly, sync, takeCopy } from './disks.js'
import type { World } from './world.js'
import type { NodeSim, Said } from './world-types.js'

export function copyOf(_world: World, node: NodeSim): CopyFacts {
  const { disk } = node
  const active = node.core.role === 'active'
  return {
    history: disk.history,
    seq: disk.seq,
    durableSeq: Math.min(disk.seq, node.synced),
    complete: !node.damaged,
    inSync: disk.inSync,
    inSyncKnown: active || node.inSyncKnown,
    ineligible: node.ineligible,
    forgot: node.forgot,
    heldSeq: active ? node.heldSeq : undefined,
  }
}

export function copyInput(world: World, node: NodeSim): void {
  world.input(node, { type: 'tick', copy: copyOf(world, node) })
}

export function carryOut(world: World, node: NodeSim, effect: CoreEffect): void {
  const { id, boot } = node
  switch (effect.type) {
    case 'send':
      send(world, node, effect.to, effect.message)
      break
    case 'redial':
      world.redials.push({ atMs: world.nowMs, from: id, to: effect.peer })
      break
    case 'persist':
      world.push(world.diskMs, {
        kind: 'persist',
        node: id,
        boot,
        id: effect.id,
        facts: effect.facts,
      })
      break
    case 'role':
      say(world, node, `${effect.role} (${effect.reason})`, { role: effect.role })
      roleChanged(world, node, effect.role, effect.term)
      break
    case 'follow':
      node.stream = { peer: effect.peer, term: effect.term, caughtUp: false }
      world.push(node.restoreMs, { kind: 'restore', node: id, boot, term: effect.term })
      break
    case 'unfollow':
      node.stream = undefined
      break
    case 'cutStream':
      node.stream = undefined
      sync(node)
      world.inputLater(1, id, { type: 'cut', id: effect.id, copy: copyOf(world, node) })
      break
    case 'fetch':
      fetch(world, node, effect.id, effect.peer)
      break
    case 'mayBecomeActive':
      world.inputLater(1, id, { type: 'gate', id: effect.id, ok: node.gateOpen })
      break
    case 'openTerm':
      world.ledger.opening(id, effect.term, node.core)
      world.push(world.diskMs, { kind: 'open', node: id, boot, term: effect.term })
      break
    case 'fork':
      node.disk.seq += 1
      sync(node)
      world.inputLater(0, id, { type: 'tick', copy: copyOf(world, node) })
      break
    case 'freeze':
      node.writesFrozen = true
      break
    case 'unfreeze':
      node.writesFrozen = false
      break
    case 'drain':
      node.drain = effect
      tryDrain(world, node)
      break
    case 'peerLost':
      leaveSet(world, node, effect.peer)
      say(world, node, `peerLost ${effect.peer}${effect.proven ? ' proven' : ''}`, {})
      break
    case 'commandDone':
      say(world, node, `done ${effect.id} ${effect.error?.code ?? 'ok'}`, {
        done: { id: effect.id, error: effect.error?.code },
      })
      break
    case 'emit':
      say(world, node, eventText(effect.event), { event: effect.event })
      break
  }
}

export function say(world: World, node: NodeSim, what: string, more: Partial<Said>): void {
  world.said.push({ ...more, atMs: world.nowMs, node: node.id, what })
}

export function send(world: World, node: NodeSim, to: string, message: CoreMessage): void {
  // The own dial before the one that was accepted, as the shell has it.
  const own = `${node.id}>${to}`
  const link = world.links.has(own) ? own : `${to}>${node.id}`
  const standing = world.links.get(link)
  world.sent.push({ atMs: world.nowMs, from: node.id, to, type: message.type })
  if (world.sent.length > 5_000) world.sent.splice(0, 2_500)
  if (standing === undefined || world.cut(node.id, to)) return
  world.push(world.latencyMs, {
    kind: 'message',
    from: node.id,
    to,
    link,
    boots: standing,
    message: message,
  })
}

export function roleChanged(world: World, node: NodeSim, role: Role, term: Term | undefined): void {
  node.writesFrozen = false
  node.drain = undefined
  node.term = role === 'active' ? term : undefined
  if (role === 'active') {
    node.disk.inSync = [node.id]
    node.heldSeq = 0
  }
  // A tenure that ended leaves no set that anybody else told.
  if (role === 'restoring' || role === 'active') node.inSyncKnown = false
  const isKnown = role === 'active' || node.inSyncKnown
  if (isKnown !== node.core.copy.inSyncKnown || role === 'active') {
    world.inputLater(0, node.id, { type: 'tick', copy: copyOf(world, node) })
  }
  if (role === 'stopped') {
    world.later(0, () => closed(world, node.id))
  }
}

/** After a clean stop the process ends, its listener last. */
export function closed(world: World, id: string): void {
  if (world.node(id).core.role === 'stopped')
    world.later(5, () => world.node(id).alive && world.kill(id))
}

export function open(world: World, node: NodeSim, term: Term): void {
  if (!node.opens) {
    const copy = copyOf(world, node)
    world.input(node, { type: 'termOpened', term, ok: false, copy, reason: 'disk' })
    return
  }
  node.disk.history = withTerm(node.disk.history, term, node.disk.seq)
  node.forgot = false
  sync(node)
  world.ledger.opened(node.id, term, node.core)
  world.input(node, { type: 'termOpened', term, ok: true, copy: copyOf(world, node) })
  if (node.core.role === 'active') node.term = node.core.tenure?.term
}

export function flows(world: World, active: NodeSim, follower: NodeSim): boolean {
  const { stream } = follower
  if (stream === undefined || !stream.caughtUp || stream.peer !== active.id) return false
  if (!follower.alive || follower.frozen || !active.alive || active.frozen) return false
  return !world.cut(active.id, follower.id) && !world.cut(follower.id, active.id)
}

/** The follower becomes what the active is. */
export function replicate(world: World, active: NodeSim, follower: NodeSim): void {
  follower.disk.history = active.disk.history
  follower.disk.seq = active.disk.seq
  follower.disk.inSync = active.disk.inSync
  sync(follower)
  follower.inSyncKnown = true
  follower.forgot = false
  follower.damaged = false
  copyInput(world, follower)
  if (active.drain !== undefined) tryDrain(world, active)
}

export function restore(world: World, node: NodeSim, term: Term): void {
  const { stream } = node
  if (stream === undefined || stream.caughtUp || stream.term.epoch !== term.epoch) return
  const active = world.node(stream.peer)
  const cut = world.cut(active.id, node.id) || world.cut(node.id, active.id)
  const reached = !cut && !world.closed.has(active.id)
  const serves = active.alive && !active.frozen && active.term?.epoch === term.epoch && reached
  if (!serves) {
    world.input(node, { type: 'following', state: 'broken', term })
    return
  }
  if (relate(node.disk, active.disk).kind === 'ahead') {
    world.input(node, { type: 'following', state: 'refused', term })
    return
  }
  world.input(node, { type: 'following', state: 'started', term })
  if (node.stream !== stream) return
  stream.caughtUp = true
  if (!node.lagging) replicate(world, active, node)
  world.input(node, { type: 'following', state: 'complete', term })
  if (world.members.find((member) => member.id === node.id)?.promotable === false) return
  if (node.ineligible !== undefined || node.lagging) return
  active.disk.inSync = [...new Set([...(active.disk.inSync ?? []), node.id])].sort()
  for (const other of world.nodes.values()) {
    if (flows(world, active, other)) replicate(world, active, other)
  }
  copyInput(world, active)
}

export function leaveSet(world: World, node: NodeSim, peer: string): void {
  const before = node.disk.inSync ?? []
  if (!before.includes(peer)) return
  node.disk.inSync = before.filter((id) => id !== peer)
  for (const other of world.nodes.values()) {
    if (flows(world, node, other) && !other.lagging) replicate(world, node, other)
  }
  world.inputLater(0, node.id, { type: 'tick', copy: copyOf(world, node) })
}

export function fetch(world: World, node: NodeSim, id: number, peer: string): void {
  const source = world.node(peer)
  const reached =
    source.alive &&
    !source.frozen &&
    !world.cut(peer, node.id) &&
    !world.cut(node.id, peer) &&
    !world.closed.has(peer)
  if (node.fetchMs > 0) return fetchSlowly(world, node, id, peer)
  const ok = reached && source.fetchable
  if (ok) takeCopy(node, source)
  world.inputLater(3, node.id, { type: 'fetched', id, ok, copy: copyOf(world, node) })
}

export function tryDrain(world: World, node: NodeSim): void {
  const { drain } = node
  if (drain === undefined) return
  const target = world.node(drain.target)
  const ready =
    target === node ||
    (flows(world, node, target) && target.disk.seq === node.disk.seq && !target.lagging)
  if (!ready) return
  node.drain = undefined
  world.inputLater(2, node.id, {
    type: 'drained',
    id: drain.id,
    ok: true,
    copy: copyOf(world, node),
  })
}

function eventText(event: CoreEvent): string {
  const { name, ...rest } = event
  return `event ${name} ${JSON.stringify(rest)}`
}

/** One line about a node. */
export function statusOf(node: NodeSim): string {
  const { id } = node
  if (!node.alive) return `${id} dead seq=${node.disk.seq}`
  const { core } = node
  const promised = core.durable.promised
  const parts = [id, core.role, `seq=${node.disk.seq}`]
  if (core.tenure !== undefined) parts.push(`term=${core.tenure.term.epoch}`)
  if (core.following !== undefined) parts.push(`follows=${core.following.id}`)
  if (promised !== undefined) parts.push(`promised=${promised.epoch}-${promised.nodeId}`)
  if (viewOf(core).outdated) parts.push('outdated')
  return parts.join(' ')
}
