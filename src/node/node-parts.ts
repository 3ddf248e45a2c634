/** The parts of a running node. */
import type { OpenStorage } from '../interfaces/storage.js'
import type { Replica } from './data/replica.js'
import type { Links } from './peers/links.js'
import type { RoleLife } from './role-life.js'
import type { Driver } from './roles/driver.js'

export interface NodeParts {
  readonly storage: OpenStorage
  readonly replica: Replica
  readonly links: Links
  readonly driver: Driver
  readonly life: RoleLife
}
