/**
 * The classes of simulated nodes: the shared policy, and policies that differ from it for a while.
 */
import { appState } from '../../../policy/kinds/app-state.js'
import { neverSynced } from '../../../policy/kinds/never-synced.js'
import { synced } from '../../../policy/kinds/synced.js'
import { SyncPolicy } from '../../../policy/sync-policy.js'
import type { Register, RegisterChange, SimulatedClasses } from './register.js'
import type { SeededRandom } from './seeded-random.js'

/** How a policy differs from the shared one. */
export const policyDifferences = ['more', 'fewer', 'pattern', 'durability'] as const

export type PolicyDifference = (typeof policyDifferences)[number]

/** A member that runs with another policy than the others for a while. */
export interface DifferingPolicy {
  readonly difference: PolicyDifference
  /**
   * The number of its first start with that policy: at start 1 it has no data, later mostly a copy.
   */
  readonly fromBoot: number
  /** The number of starts with that policy; an operator may deploy the shared policy earlier. */
  readonly boots: number
}

/** The policies that differ, by member. */
export type DifferingPolicies = Readonly<Record<string, DifferingPolicy>>

/** Draws the members whose policies differ: one, rarely two, never all. */
export function differingPolicies(ids: readonly string[], random: SeededRandom): DifferingPolicies {
  const rest = [...ids]
  const many = rest.length > 2 && random.chance(0.2) ? 2 : 1
  const differing: Record<string, DifferingPolicy> = {}
  while (Object.keys(differing).length < many && rest.length > 1) {
    const [id = ''] = rest.splice(random.below(rest.length), 1)
    differing[id] = {
      difference: random.pick(policyDifferences),
      fromBoot: random.between(1, 3),
      boots: random.chance(0.3) ? random.between(1, 2) : Number.POSITIVE_INFINITY,
    }
  }
  return differing
}

/** The policy of a simulated node. */
export function simulatedPolicy(
  register: Register,
  difference: PolicyDifference | undefined,
): SyncPolicy<SimulatedClasses> {
  const files = ['data/**', '!data/**/*.own']
  const durability = difference === 'durability' ? 'disk' : 'memory'
  const classes = {
    // No path of the workload ends like this, so both policies claim the same files.
    files: synced(difference === 'pattern' ? [...files, '!data/**/*.scratch'] : files),
    ...(difference === 'fewer' ? {} : { quick: synced('quick/**', { ack: 'local', durability }) }),
    ...(difference === 'more' ? { more: synced('more/**') } : {}),
    register: appState<RegisterChange, number>({
      snapshot: () => register.snapshot(),
      restore: (snapshot) => register.restore(snapshot),
      apply: (change, position) => register.apply(change, position),
      ...(register.kept === undefined ? {} : { position: () => register.kept?.position }),
    }),
    local: neverSynced(['properties.txt', 'logs/**', 'data/**/*.own'], {
      reason: 'differs per machine',
    }),
  }
  // Writes to a missing class fail, as in an application that is only partly upgraded.
  return new SyncPolicy<SimulatedClasses>(classes as SimulatedClasses)
}
