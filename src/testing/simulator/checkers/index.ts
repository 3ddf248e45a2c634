/** All checkers, one a promise. */
import type { World } from '../world.js'
import { acknowledged } from './acknowledged.js'
import { catchUp } from './catch-up.js'
import type { Checker, Report } from './checker.js'
import { complete } from './complete.js'
import { flow } from './flow.js'
import { historyHolds } from './history.js'
import { inSync } from './in-sync.js'
import { limits } from './limits.js'
import { oneWriter } from './one-writer.js'
import { order } from './order.js'
import { policies } from './policies.js'
import { reads } from './reads.js'
import { singleActive } from './single-active.js'
import { stranger } from './stranger.js'
import { untouched } from './untouched.js'
import { vaultBytes } from './vault-bytes.js'
import { vaulted } from './vaulted.js'

/** What every run is checked for. */
export const allCheckers: readonly ((world: World, report: Report) => Checker)[] = [
  oneWriter,
  singleActive,
  acknowledged,
  vaulted,
  complete,
  historyHolds,
  untouched,
  catchUp,
  limits,
  stranger,
  order,
  inSync,
  flow,
  reads,
  vaultBytes,
  policies,
]
