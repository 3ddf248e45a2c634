/** All checkers. */
import type { World } from '../world.js'
import { acknowledged } from './acknowledged.js'
import type { Checker, Report } from './checker.js'
import { catchUp } from './copies/catch-up.js'
import { complete } from './copies/complete.js'
import { historyHolds } from './copies/history.js'
import { reads } from './copies/reads.js'
import { untouched } from './copies/untouched.js'
import { vaultBytes } from './copies/vault-bytes.js'
import { vaulted } from './copies/vaulted.js'
import { flow } from './flow.js'
import { inSync } from './in-sync.js'
import { limits } from './limits.js'
import { oneWriter } from './one-writer.js'
import { order } from './order.js'
import { policies } from './policies.js'
import { singleActive } from './single-active.js'
import { stranger } from './stranger.js'

/** The checkers of every run. */
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
