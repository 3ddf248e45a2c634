/**
 * What can happen to a cluster in one round of the soak. Each fault leaves the mending to the
 * round.
 */
import type { TestCluster } from '../support/cluster.js'
import { machineMs } from '../support/node-jobs.js'
import type { TestNode } from '../support/test-node.js'
import { retryUntil, staysTrue } from '../support/wait.js'

export interface Scene {
  readonly cluster: TestCluster
  readonly deadMs: number
  /** The active when the round began. */
  readonly active: TestNode
  /** The others, in an order of chance. */
  readonly standbys: readonly TestNode[]
  readonly random: () => number
  /** Takes note of a takeover that took so long, from the fault to the first acknowledged write. */
  tookOver(ms: number): void
}

export type Fault = (scene: Scene) => Promise<void>

/** Until another node than this one has acknowledged a write. */
async function successor(
  { cluster, tookOver }: Scene,
  lost: TestNode,
  fromMs: number,
): Promise<void> {
  const from = cluster.acks.length
  const first = await retryUntil('a write acknowledged by another node', () => {
    return cluster.acks.slice(from).find(({ writer, atMs }) => {
      return atMs > fromMs && !writer.startsWith(`${lost.id}-`)
    })
  })
  tookOver(first.atMs - fromMs)
}

async function pass(scene: Scene, deadTimes: number): Promise<void> {
  await staysTrue('time passes', () => true, scene.deadMs * deadTimes)
}

const killActive: Fault = async (scene) => {
  const fromMs = machineMs()
  await scene.cluster.kill(scene.active)
  await successor(scene, scene.active, fromMs)
}

const killStandby: Fault = async ({ cluster, standbys: [standby] }) => {
  if (standby !== undefined) await cluster.kill(standby)
  await cluster.written(20)
}

/** The active dies, and its successor soon after it. */
const killTwo: Fault = async (scene) => {
  await killActive(scene)
  await scene.cluster.start(scene.active)
  await scene.cluster.settled()
  const next = await scene.cluster.active()
  const fromMs = machineMs()
  await scene.cluster.kill(next)
  await successor(scene, next, fromMs)
}

const killAll: Fault = async ({ cluster }) => {
  await Promise.all(cluster.alive.map((node) => cluster.kill(node)))
}

const freezeActive: Fault = async (scene) => {
  const fromMs = machineMs()
  scene.active.signal('SIGSTOP')
  await successor(scene, scene.active, fromMs)
}

/** Shorter than it takes to be replaced, or about as long. */
const freezeBriefly: Fault = async (scene) => {
  scene.active.signal('SIGSTOP')
  await pass(scene, 0.4 + scene.random())
}

const freezeStandby: Fault = async (scene) => {
  const [standby] = scene.standbys
  standby?.signal('SIGSTOP')
  await pass(scene, 0.5 + 2 * scene.random())
}

const switchOver: Fault = async ({ cluster, active, standbys: [standby] }) => {
  if (standby === undefined) return
  await active.ask('switchover', { to: standby.id })
  await cluster.written(20, standby)
}

/** As a switchover whose target dies in the middle of it. */
const switchToDying: Fault = async ({ cluster, active, standbys: [standby], random }) => {
  if (standby === undefined) return
  const handing = active.ask('switchover', { to: standby.id })
  handing.catch(() => undefined)
  await staysTrue('time passes', () => true, 30 * random())
  await cluster.kill(standby)
  await handing.catch(() => undefined)
}

const stopActive: Fault = async ({ cluster, active }) => {
  await cluster.stop(active)
  await cluster.written(20)
}

const resetAll: Fault = async ({ cluster }) => {
  for (let times = 0; times < 3; times += 1) {
    cluster.resetAll()
    await cluster.written(5)
  }
}

const cutOneLink: Fault = async (scene) => {
  const { cluster, active, standbys } = scene
  const [standby] = standbys
  if (standby !== undefined) cluster.cut(active, standby)
  await pass(scene, 0.5 + 2 * scene.random())
}

const cutOneWay: Fault = async (scene) => {
  const { cluster, active, standbys, random } = scene
  const [standby] = standbys
  if (standby === undefined) return
  if (random() < 0.5) cluster.cutOneWay(active, standby)
  else cluster.cutOneWay(standby, active)
  await pass(scene, 0.5 + 2 * random())
}

/**
 * Alone, a standby takes over too, once it heard nobody for deadMs. Two actives are a matter of
 * their own: what one side had acknowledged is then in the vault of the other. So this is shorter,
 * and whoever was isolated does not come back alive.
 */
const isolateStandby: Fault = async (scene) => {
  const [standby] = scene.standbys
  if (standby === undefined) return
  scene.cluster.isolate(standby)
  await pass(scene, 0.3 + 0.5 * scene.random())
  await scene.cluster.kill(standby)
}

const isolateActive: Fault = async (scene) => {
  const fromMs = machineMs()
  scene.cluster.isolate(scene.active)
  await successor(scene, scene.active, fromMs)
  await scene.cluster.kill(scene.active)
}

export const faults: { readonly [name: string]: Fault } = {
  killActive,
  killStandby,
  killTwo,
  killAll,
  freezeActive,
  freezeBriefly,
  freezeStandby,
  switchOver,
  switchToDying,
  stopActive,
  resetAll,
  cutOneLink,
  cutOneWay,
  isolateStandby,
  isolateActive,
}
