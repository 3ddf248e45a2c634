/** What a simulated world is created from. */
import type { NodeChoices } from './machine/machine.js'
import type { DifferingPolicies } from './machine/policies.js'

/** What a world is created from. */
export interface WorldOptions {
  readonly seed: number
  /** The number of members, which are named `n1`, `n2`, …. Default 3. */
  readonly nodes?: number
  /** Which of them are observers. */
  readonly observers?: readonly string[]
  /** Options of all nodes. */
  readonly choices?: NodeChoices
  /** Options of one node, which override those of all. */
  readonly choicesOf?: (id: string) => NodeChoices
  readonly latencyMs?: number
  readonly jitterMs?: number
  /** The duration of one disk operation in milliseconds; 0 means at once. Default 0. */
  readonly diskMs?: number
  /** Wrong addresses that the other members have for a node. */
  readonly wrongAddresses?: Readonly<Record<string, string>>
  /** Whether the machines' clocks run half a percent too fast or too slow. Default false. */
  readonly drift?: boolean
  /**
   * The number of changes after which the application writes its state to its own store. Default:
   * it has no store.
   */
  readonly keepsEvery?: number
  /** The longest time that a promotion gate takes, in milliseconds. Default: no gate. */
  readonly gateMs?: number
  /** How much later than on other connections entries arrive, in milliseconds. Default 0. */
  readonly streamLagMs?: number
  /**
   * Whether syncs of files may fail and lose the data that they should make durable. Default false.
   */
  readonly losesSyncs?: boolean
  /** Members that behave like the next version. Default: none. */
  readonly later?: readonly string[]
  /** Members that start with another policy than the others. Default: none. */
  readonly policies?: DifferingPolicies
  /** Whether connections count as secure, so that frames need no checks. Default true. */
  readonly secure?: boolean
  /** The wrong secret of an additional node, which is no member. */
  readonly intruderKnows?: string
  /** Called with each line of the timeline. */
  readonly verbose?: (line: string) => void
}
