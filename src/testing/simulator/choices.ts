/** What a seed decides about nodes, machines and workload before the run begins. */
import type { NodeChoices } from './machine/machine.js'
import type { DifferingPolicies } from './machine/policies.js'
import { differingPolicies } from './machine/policies.js'
import { SeededRandom } from './machine/seeded-random.js'
import type { WorkloadOptions } from './workload.js'
import type { WorldOptions } from './world-options.js'

/** The number of members. */
export function nodesOf(random: SeededRandom): number {
  const many = random.chance(0.06)
  const some = random.between(2, 4)
  return many ? 5 : some
}

/**
 * Rare choices. They are drawn from a separate random source, so that they change nothing else
 * about the run.
 */
export interface RareChoices {
  readonly choices: NodeChoices
  /** Options in which the nodes differ. */
  readonly choicesOf: (id: string) => NodeChoices
  readonly load: WorkloadOptions
  readonly world: Partial<WorldOptions>
}

/** Draws limits that are so small that they are reached, and options that are rarely used. */
export function rareChoicesOf(seed: number): RareChoices {
  const random = new SeededRandom(~seed)
  const trims = random.chance(0.1)
  const fillsVault = random.chance(0.1)
  const isBulky = random.chance(0.04)
  const choices: NodeChoices = {
    ...(trims ? { journalBytesMax: 1024 * 1024 } : {}),
    ...(fillsVault ? { vaultBytesMax: random.pick([0, 8, 32]) * 1024 } : {}),
    ...(random.chance(0.1) ? { frameBytesMax: 256 * 1024 } : {}),
    ...(random.chance(0.2) ? { integrity: 'mac' as const } : {}),
    ...(random.chance(0.1) && !trims
      ? { restoreBytesPerSecondMax: isBulky ? 4_000_000 : 100_000 }
      : {}),
    ...(random.chance(0.1) ? { switchoverMs: random.pick([1_500, 30_000]) } : {}),
    ...(random.chance(0.1) ? { onNoStandby: 'block' as const } : {}),
    ...(random.chance(0.1) ? { onMissingPeer: 'hold' as const } : {}),
    ...(random.chance(0.04) ? { allowStale: true } : {}),
  }
  const choicesOf = differences(random)
  const drift = random.chance(0.2)
  const keepsEvery = random.chance(0.15) ? { keepsEvery: random.between(1, 6) } : {}
  const gate = random.chance(0.12) ? { gateMs: random.pick([300, 1_000, 2_500]) } : {}
  const lag = random.chance(0.12) ? { streamLagMs: random.between(100, 900) } : {}
  // Choices that were added later have their own random sources, so that they do not change what
  // the others draw.
  const losesSyncs = new SeededRandom(seed ^ 0x0d20_95ed).chance(0.5)
  const later = laterOf(new SeededRandom(seed ^ 0x1a7e_0e55))
  return {
    choices,
    choicesOf,
    load: {
      ...(trims ? { everyMs: 60, largeShare: 0.8 } : {}),
      ...(isBulky ? { everyMs: 300, bulkyShare: 0.1, paths: 6 } : {}),
    },
    world: { drift, losesSyncs, later, ...keepsEvery, ...gate, ...lag },
  }
}

/** In some runs about half of the nodes behave like the next version. */
function laterOf(random: SeededRandom): readonly string[] {
  if (!random.chance(0.25)) return []
  return ['n1', 'n2', 'n3', 'n4', 'n5'].filter(() => random.chance(0.5))
}

/** In a few runs the nodes have different options. */
function differences(random: SeededRandom): (id: string) => NodeChoices {
  const differ = random.chance(0.15)
  const known = new Map<string, NodeChoices>()
  for (let at = 1; at <= 5; at += 1) {
    known.set(`n${at}`, {
      ...(random.chance(0.4) ? { discoveryMs: random.pick([1_000, 1_300, 2_000]) } : {}),
      ...(random.chance(0.4) ? { startupWaitMs: random.between(3_000, 10_000) } : {}),
      ...(random.chance(0.3) ? { onMissingPeer: 'hold' as const } : {}),
      ...(random.chance(0.3) ? { onNoStandby: 'block' as const } : {}),
      ...(random.chance(0.3) ? { journalBytesMax: 2 * 1024 * 1024 } : {}),
      ...(random.chance(0.3) ? { restoreBytesPerSecondMax: 2_000_000 } : {}),
      ...(random.chance(0.3) ? { integrity: 'mac' as const } : {}),
    })
  }
  return (id) => (differ ? (known.get(id) ?? {}) : {})
}

/** What the options of a world are derived from. */
export interface WorldDraw {
  readonly seed: number
  readonly nodes: number
  readonly random: SeededRandom
  readonly corners: RareChoices
  readonly verbose: ((line: string) => void) | undefined
}

export function worldOptions({ seed, nodes, random, corners, verbose }: WorldDraw): WorldOptions {
  const secret = random.chance(0.06)
  const [heartbeatMs, deadMs] = random.pick([
    [200, 2_000],
    [500, 1_500],
    [600, 2_000],
    [1_000, 3_000],
  ] as const)
  const choices: NodeChoices = {
    ...corners.choices,
    heartbeatMs,
    deadMs,
    startupWaitMs: random.between(3_000, 10_000),
    ...(secret ? { secret: 'the secret of the simulated cluster' } : {}),
    ...(random.chance(0.2) ? { order: 'list' as const } : {}),
    ...(random.chance(0.15) ? { degradeAfterMs: deadMs * random.pick([1, 2, 4]) } : {}),
  }
  return {
    seed: seed ^ 0x5f3759df,
    nodes,
    choices,
    choicesOf: corners.choicesOf,
    latencyMs: random.between(1, 5),
    jitterMs: random.below(5),
    diskMs: random.chance(0.5) ? 0 : random.between(1, 8),
    secure: random.chance(0.8),
    ...(secret ? { intruderKnows: 'not the secret of this cluster' } : {}),
    observers: observersOf(nodes, random),
    policies: policiesOf(nodes, new SeededRandom(seed ^ 0x9011_c135)),
    ...corners.world,
    ...(verbose === undefined ? {} : { verbose }),
  }
}

/** Drawn from its own random source, so that it changes nothing else about the run. */
function policiesOf(nodes: number, random: SeededRandom): DifferingPolicies {
  if (!random.chance(0.06)) return {}
  const ids = Array.from({ length: nodes }, (_, at) => `n${at + 1}`)
  return differingPolicies(ids, random)
}

/** Observers: the last member, or the last two of many. */
function observersOf(nodes: number, random: SeededRandom): readonly string[] {
  const share = nodes === 5 ? 0.5 : 0.1
  if (nodes < 3 || !random.chance(share)) return []
  return nodes === 5 && random.chance(0.6) ? ['n4', 'n5'] : [`n${nodes}`]
}
