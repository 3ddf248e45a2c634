/** What a node consists of while it runs. */
import type { OpenStorage } from '../interfaces/storage.js'
import type { Driver } from './driver.js'
import type { Links } from './links.js'
import type { Replica } from './replica.js'

export interface NodeParts {
  readonly storage: OpenStorage
  readonly replica: Replica
  readonly links: Links
  readonly driver: Driver
}
