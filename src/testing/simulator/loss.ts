/**
 * Checks that when one node is missing and nothing else is wrong, the others serve within a bound
 * that follows from their options.
 */
import type { ClusterNode } from '../../cluster-node.js'
import type { Extent } from '../../history/position.js'
import { relate } from '../../history/position.js'
import type { SeededRandom } from './machine/seeded-random.js'
import { holdingsOf } from './observed/holdings.js'
import { isDoubt } from './watch.js'
import type { World } from './world.js'

/**
 * Extra time for calls that began before the faults ended: one call of a slow disk takes up to four
 * seconds.
 */
const restMs = 10_000

/**
 * In half of the cases starts all stopped nodes but one, and answers that one; otherwise starts
 * none.
 */
export function startWithoutOne(world: World, random: SeededRandom): string | undefined {
  const idle = [...world.machines.values()].filter(({ process }) => process === undefined)
  if (idle.length === 0 || world.members.length < 2 || random.chance(0.5)) return undefined
  const { id: absent } = random.pick(idle)
  for (const { id } of idle) if (id !== absent) world.start(id)
  return absent
}

/**
 * Whether a node serves in time, or there is a good reason that none does; reports a violation
 * otherwise.
 */
export async function isServedInTime(world: World, absent: string): Promise<boolean> {
  const { startupWaitMs, deadMs } = longestTimes(world)
  const boundMs = startupWaitMs + 6 * deadMs + restMs
  if (await world.until(() => world.actives().length > 0, boundMs)) return true
  const why = reasonToWait(world, absent)
  world.timeline.add(world.nowMs, 'world', 'nobodyServes', why)
  if (why !== undefined) return true
  world.violate(
    'liveness',
    `nobody serves for ${boundMs} ms without ${absent}\n${world.describe()}`,
  )
  return false
}

/**
 * Removes the active of a healthy cluster for good; another node must take over without any loss.
 */
export async function loseActive(world: World, random: SeededRandom): Promise<boolean> {
  const [active] = world.actives()
  const others = world.members.filter(({ id, observer }) => id !== active && observer !== true)
  if (active === undefined || others.length === 0) return true
  const { deadMs } = longestTimes(world)
  const inSync = world.process(active).node.status().inSync
  if (!others.every(({ id }) => inSync.includes(id))) return true
  const events = world.events.length
  if (random.chance(0.5)) world.kill(active)
  else world.powerOff(active)
  const boundMs = 4 * deadMs + restMs
  const served = await world.until(() => world.actives().length > 0, boundMs)
  if (!served && reasonToWait(world, active) === undefined) {
    world.violate(
      'liveness',
      `nobody takes over from ${active} within ${boundMs} ms\n${world.describe()}`,
    )
    return false
  }
  const told = world.events
    .slice(events)
    .find((event) => event.name === 'possibleLoss' && !isDoubt(world.events, event))
  if (told !== undefined) {
    const what = `${told.node} reports possibleLoss, although all others were in sync with ${active}`
    world.violate('liveness', what)
    return false
  }
  world.powerOn(active)
  return true
}

function longestTimes(world: World): { startupWaitMs: number; deadMs: number } {
  const times = { startupWaitMs: 0, deadMs: 0 }
  for (const { node } of world.processes) {
    const { startupWaitMs, deadMs } = node.status().options
    times.startupWaitMs = Math.max(times.startupWaitMs, startupWaitMs)
    times.deadMs = Math.max(times.deadMs, deadMs)
  }
  return times
}

/** Why no node may serve: the missing node is needed, or it has data that no other node has. */
function reasonToWait(world: World, absent: string): string | undefined {
  const able = world.processes.filter(({ id, node, difference }) => {
    const { complete, stuck = '' } = node.status()
    const isMember = world.members.some((member) => member.id === id && member.observer !== true)
    const isWaiting = world.machine(id).joins
    const mayLead = isMember && complete && difference === undefined
    return mayLead && !isWaiting && !/^(VAULT_FULL|STORAGE)/.test(stuck)
  })
  if (able.length === 0) return 'nobody who could serve runs'
  if (able.some(({ choices }) => choices.onMissingPeer === 'hold')) return 'hold'
  const holdings = holdingsOf(world)
  const copies = able.map(({ id }) => holdings.of(id)).filter((copy) => copy !== undefined)
  const outside = world.members
    .map(({ id }) => id)
    .filter((id) => id === absent || !able.some((process) => process.id === id))
  const ahead = outside.find((id) => {
    const theirs = holdings.of(id)
    return theirs !== undefined && copies.every((own) => lacks(own, theirs))
  })
  if (ahead !== undefined) return `${ahead} has more`
  const lost = world.members.find(({ id }) => {
    const isAskedFor = able.every(({ id: own, node }) => own === id || asksFor(node, id))
    return isAskedFor && holdings.gone(id).some((disk) => copies.every((own) => lacks(own, disk)))
  })
  return lost === undefined ? undefined : `${lost.id} had more, and has another disk now`
}

/** Whether the node reports that it waits for the data of this member. */
function asksFor(node: ClusterNode, id: string): boolean {
  const { stuck = '' } = node.status()
  return stuck.startsWith('holding') && stuck.includes(id)
}

function lacks(own: Extent, other: Extent): boolean {
  const { kind } = relate(own, other)
  return kind !== 'equal' && kind !== 'ahead'
}
