/**
 * What follows the end of all faults, without help: a node serves although one is missing, and in
 * the end one node is active and all others are in sync with it.
 *
 * Checkers judge the state before anything is repaired. Only then an operator does what the library
 * leaves to people, and each step is recorded by name.
 */

import { lackingReason, outdatedReason } from '../../core/standing/needed.js'
import type { Extent } from '../../history/position.js'
import { compareFreshness } from '../../history/position.js'
import type { RoleEvent } from '../../node/contract/event-parts.js'
import { isServedInTime, loseActive, startWithoutOne } from './loss.js'
import type { Process } from './machine/machine.js'
import type { SeededRandom } from './machine/seeded-random.js'
import type { Workload } from './workload.js'
import type { World } from './world.js'

/** How long a cluster may take to recover once there are no faults. */
const boundMs = 90_000
/** The time after which the operator acts, because nothing changes without help any more. */
const patienceMs = 15_000
const lookMs = 250
/** How long an operator waits after restarting a node before acting again. */
const restartMs = 5_000
/** The share of recoveries after which the active is lost again. */
const lossShare = 0.3

/**
 * Ends all faults, starts all nodes and waits. Answers false, and reports it, when the cluster does
 * not recover.
 */
export async function recover(
  world: World,
  random: SeededRandom,
  load: Workload,
): Promise<boolean> {
  world.timeline.add(world.nowMs, 'world', 'recover')
  world.mend()
  load.resume()
  const absent = startWithoutOne(world, random)
  if (absent !== undefined && !(await isServedInTime(world, absent))) return false
  if (!(await comesTogether(world, random, load))) return false
  if (!random.chance(lossShare)) return true
  load.resume()
  await world.run(500)
  if (!(await loseActive(world, random))) return false
  return await comesTogether(world, random, load)
}

async function comesTogether(world: World, random: SeededRandom, load: Workload): Promise<boolean> {
  const beganMs = world.nowMs
  const operator = new Operator(world, random, load)
  while (world.nowMs - beganMs < boundMs) {
    startIdle(world)
    await world.run(lookMs)
    if (world.nowMs - beganMs > patienceMs) await operator.look()
    const calm = world.nowMs - beganMs > 1_000
    if (calm) load.pause()
    if (calm && missing(world) === undefined) return await stays(world)
  }
  world.violate(
    'recovery',
    `not recovered after ${boundMs} ms: ${missing(world)}\n${world.describe()}${retries(world)}`,
  )
  return false
}

/** The last reasons for which followers retried. */
function retries(world: World): string {
  const lines = world.processes.flatMap(({ id, node }) => {
    const last = node.explain().findLast(({ rule }) => rule === 'follow.retry')
    const isAmiss = node.role !== 'active' && last !== undefined
    return isAmiss ? [`\n${id} follows again: ${JSON.stringify(last)}`] : []
  })
  return lines.join('')
}

function startIdle(world: World): void {
  for (const machine of world.machines.values()) {
    if (machine.process === undefined && !machine.off) world.start(machine.id)
  }
}

/** Does what the library leaves to people, after the checkers have judged the state. */
class Operator {
  readonly #world: World
  readonly #random: SeededRandom
  readonly #load: Workload
  #judged = false
  #splitSinceMs: number | undefined
  #restartedMs = Number.NEGATIVE_INFINITY

  constructor(world: World, random: SeededRandom, load: Workload) {
    this.#world = world
    this.#random = random
    this.#load = load
  }

  async look(): Promise<void> {
    if (this.#world.nowMs - this.#restartedMs < restartMs) return
    this.#deployPolicies()
    for (const process of this.#world.processes) this.#restartStuck(process)
    if (this.#world.nowMs === this.#restartedMs) return
    this.#moveFilesAway()
    await this.#giveUpLost()
    await this.#keepOneActive()
    this.#settleUnrelated()
  }

  /** Records and counts a step. Before the first step, the checkers judge the state. */
  #step(name: string, detail: unknown): void {
    const world = this.#world
    if (!this.#judged) {
      this.#judged = true
      this.#judgeStuck()
      world.tell((checker) => checker.judge?.())
    }
    world.timeline.add(world.nowMs, 'operator', name, detail)
  }

  /** A node that does not take part must report why. */
  #judgeStuck(): void {
    for (const { id, node, started } of this.#world.processes) {
      const { role, stuck, restore } = node.status()
      if (role === 'active' || role === 'standby' || started !== 'started') continue
      if (stuck !== undefined || restore !== undefined) continue
      this.#world.violate('recovery', `${id} is ${role} for a long time, and does not say why`)
    }
  }

  /**
   * Deploys the same policy everywhere, as the advice of `POLICY_MISMATCH` says, after it was
   * checked that the node reports the code.
   */
  #deployPolicies(): void {
    const world = this.#world
    const isActive = ({ node }: Process): number => (node.role === 'active' ? 1 : 0)
    const differing = world.processes
      .filter(({ difference }) => difference !== undefined)
      .sort((left, right) => isActive(left) - isActive(right))
    // In a schedule with single faults one node at a time, because restarting several at once would
    // be several faults.
    for (const { id, node, difference } of world.strict ? differing.slice(0, 1) : differing) {
      this.#step('deployPolicy', { id, difference })
      // If no standby could be in sync with the active, its restart makes data unavailable that
      // only it has.
      const { role, inSync } = node.status()
      if (role === 'active' && inSync.length === 0) world.strict = false
      world.deployPolicy(id)
      this.#restartedMs = world.nowMs
      // Stopped and not killed, because a kill would lose what is acknowledged in memory only.
      void world.stop(id)
    }
  }

  /**
   * Restarts the node, with more space for the vault, as the advice of the errors of a failed disk
   * and a full vault says.
   */
  #restartStuck({ id, node }: Process): void {
    const { stuck = '' } = node.status()
    if (stuck.includes('CHANGED_OUTSIDE')) this.#adoptOn(this.#world.actives()[0])
    const vaultIsFull = stuck.startsWith('VAULT_FULL')
    if (!vaultIsFull && !stuck.startsWith('STORAGE_FAILED')) return
    this.#step(vaultIsFull ? 'moreRoom' : 'restart', { id, stuck })
    if (vaultIsFull) this.#world.makeRoom(id)
    this.#restart(id)
  }

  /**
   * Gives the active more space, because a standby needs a file that the active could not adopt
   * with its full vault.
   */
  #adoptOn(active: string | undefined): void {
    if (active === undefined) return
    this.#step('moreRoom', { id: active, stuck: 'CHANGED_OUTSIDE' })
    this.#world.makeRoom(active)
    this.#restart(active)
  }

  /**
   * Starts a node without its copy whose files have no history, as the advice of `ADOPT_REQUIRED`
   * says.
   */
  #moveFilesAway(): void {
    const world = this.#world
    if (world.actives().length === 0) return
    for (const { id, startFailure } of world.machines.values()) {
      if (startFailure?.code !== 'ADOPT_REQUIRED') continue
      this.#step('moveFilesAway', { id })
      world.replaceDisk(id)
      world.machine(id).joins = true
      world.powerOn(id)
    }
  }

  /** Kills the process; the recovery starts every stopped node with power again. */
  #restart(id: string): void {
    this.#restartedMs = this.#world.nowMs
    this.#world.kill(id)
  }

  /**
   * Orders the best remaining node to take over, when acknowledged writes may be lost for good on a
   * damaged or replaced disk or with the memory of a process.
   */
  async #giveUpLost(): Promise<void> {
    const world = this.#world
    if (world.actives().length > 0) return
    const isGone =
      world.replacedInPhase || [...world.machines.values()].some((machine) => machine.damaged)
    const holding = world.processes.filter((process) => {
      const { complete, stuck = '' } = process.node.status()
      if (!complete || !stuck.startsWith('holding') || world.machine(process.id).joins) return false
      if (world.members.some(({ id, observer }) => id === process.id && observer === true))
        return false
      return isGone || stuck.includes(lackingReason) || this.#holdsForLost(process)
    })
    const extent = ({ copy }: Process): Extent => copy?.extent ?? { history: [], seq: 0 }
    const [best] = holding.sort((left, right) => compareFreshness(extent(right), extent(left)))
    if (best === undefined) return
    this.#step('goOnWithout', { id: best.id })
    world.takeOver(best)
    // New writes are needed: the damaged node gives way only to a history that diverges from its
    // own, not to one that is merely behind.
    this.#load.resume()
    await world.run(3_000)
  }

  /** Whether each member that it waits for has lost data; only then may an operator decide. */
  #holdsForLost({ id, node: holder, choices }: Process): boolean {
    const world = this.#world
    const { stuck = '' } = holder.status()
    if (choices.onMissingPeer !== 'hold' && !stuck.includes(outdatedReason)) return false
    const last = world.events.findLast(({ name, node }) => name === 'holding' && node === id)
    const { missing = [] } = (last?.event ?? {}) as { missing?: readonly string[] }
    return missing.length > 0 && missing.every((member) => this.#hasLost(member))
  }

  /**
   * Whether its disk was replaced or its memory lost, and it has not caught up with an active
   * since.
   */
  #hasLost(id: string): boolean {
    const { events, memoryLost } = this.#world
    const lost =
      this.#world.machine(id).replacedMs > Number.NEGATIVE_INFINITY ||
      memoryLost.some((one) => one.id === id)
    const roles = events.flatMap(({ name, node, event }) =>
      name === 'role' && node === id ? [event as RoleEvent] : [],
    )
    const served = roles.findLastIndex(({ role }) => role === 'standby' || role === 'active')
    return lost && served < roles.findLastIndex(({ from }) => from === 'stopped')
  }

  /**
   * Resolves a split brain that does not end by itself: keeps one active and restarts the others.
   */
  async #keepOneActive(): Promise<void> {
    const world = this.#world
    const actives = world.actives()
    this.#splitSinceMs = actives.length > 1 ? (this.#splitSinceMs ?? world.nowMs) : undefined
    if (this.#splitSinceMs === undefined || world.nowMs - this.#splitSinceMs <= patienceMs) return
    this.#splitSinceMs = undefined
    const stays = this.#keeper(actives)
    this.#step('keepOne', { stays })
    for (const id of actives) {
      const reported = world.excuses.some(({ kind, node }) => kind === 'splitBrain' && node === id)
      if (!reported) {
        const what = 'is one of two actives that meet, and did not report splitBrain'
        world.violate('recovery', `${id} ${what}`)
      }
    }
    for (const id of actives) {
      if (id === stays) continue
      // In a schedule with single faults the remaining active has everything, so nothing is
      // excused.
      if (!world.strict) world.excuse('givenUp', id)
      world.kill(id)
    }
    await world.run(3_000)
  }

  /**
   * Resolves two unrelated histories, which arise when a node without a copy was started without
   * `join` and reached no other: keeps one, and wipes the other.
   */
  #settleUnrelated(): void {
    const world = this.#world
    const [active] = world.actives()
    const refused = world.processes.filter(({ node }) =>
      node.status().stuck?.includes('HISTORY_UNRELATED'),
    )
    if (active === undefined || refused.length === 0) return
    const keepsServing = this.#random.chance(0.5)
    const wiped = world.processes.filter((process) => refused.includes(process) === keepsServing)
    for (const { id } of wiped) {
      this.#step('wipe', { id, active })
      world.excuse('givenUp', id)
      world.replaceDisk(id)
      world.machine(id).joins = true
      world.powerOn(id)
    }
  }

  /**
   * In a schedule with single faults the active with the newest term, because it has everything
   * acknowledged.
   */
  #keeper(actives: readonly string[]): string {
    const world = this.#world
    if (!world.strict) return this.#random.pick(actives)
    const epoch = (id: string): number => world.process(id).node.status().term?.epoch ?? 0
    return [...actives].sort((left, right) => epoch(right) - epoch(left))[0] ?? ''
  }
}

/**
 * What is missing until all nodes run, one is active and all others are in sync with it; undefined
 * when nothing is.
 */
export function missing(world: World): string | undefined {
  const actives = world.actives()
  const [active] = actives
  if (active === undefined || actives.length > 1) return `${actives.length} actives`
  const { copy, node } = world.process(active)
  const { inSync, degraded } = node.status()
  if (world.members.length > 1 && degraded) return `${active} is degraded`
  for (const { id, observer } of world.members) {
    const { process } = world.machine(id)
    if (process === undefined || process.started !== 'started') return `${id} is not started`
    // A stop that began before the recovery may take long on a slow disk.
    if (process.stopping !== undefined) return `${id} stops`
    if (process.difference !== undefined) return `${id} has another policy`
    if (id !== active && process.node.role !== 'standby') return `${id} is ${process.node.role}`
    if (id !== active && observer !== true && !inSync.includes(id)) return `${id} is not in sync`
    const { seq, durableSeq, appliedSeq } = process.copy ?? {}
    const current = seq === copy?.seq && durableSeq === seq && appliedSeq === seq
    if (!current)
      return `${id} is at ${seq}, durable ${durableSeq}, applied ${appliedSeq}, ${active} at ${copy?.seq}`
  }
  return world.openWrites > 0 ? `${world.openWrites} writes are not answered` : undefined
}

/** Whether a recovered cluster stays recovered. */
async function stays(world: World): Promise<boolean> {
  const [active] = world.actives()
  await world.run(1_500)
  const changed = missing(world)
  if (changed === undefined && world.actives()[0] === active) return true
  world.violate(
    'recovery',
    `was in step with ${active}, and then: ${changed ?? 'another active'}\n${world.describe()}`,
  )
  return false
}
