/** The content of a memory storage. It survives every opening, as a disk survives a process. */

import { HotspareError } from '../../errors.js'
import type { Clock } from '../../interfaces/clock.js'
import type { ObjectArea } from '../../interfaces/object-store.js'
import { storageFailed } from '../failure.js'
import type { LogContent } from './log-content.js'
import { ObjectContent } from './object-content.js'
import type { MemoryFaults } from './runner.js'
import { TreeContent } from './tree-content.js'

/** Options of the content. */
export interface ContentOptions {
  /** Whether nothing is kept for a crash. */
  readonly fast: boolean
  readonly clock: Clock | undefined
  /** Whether paths that differ only in case are one file. */
  readonly foldsCase: boolean
}

/** Everything in one memory storage. */
export class Content {
  readonly documents: Map<string, Uint8Array>
  /** Documents that fail their checksum. */
  readonly damaged: Set<string>
  /** Logs by area and name. */
  readonly logs: Map<string, Map<string, LogContent>>
  readonly objects: ObjectContent
  /** Permission bits of incoming objects. */
  readonly modes: Map<string, number>
  readonly tree: TreeContent
  readonly faults: MemoryFaults
  readonly options: ContentOptions
  /** Whether nothing is kept for a crash. */
  readonly fast: boolean

  /** @param from - content to copy; the copy is durable and independent */
  constructor(options: ContentOptions, faults: MemoryFaults = noFaults(), from?: Content) {
    const { fast, clock, foldsCase } = options
    this.options = options
    this.fast = fast
    this.faults = faults
    this.documents = new Map(from?.documents)
    this.damaged = new Set(from?.damaged)
    this.modes = new Map(from?.modes)
    this.logs = new Map([...(from?.logs ?? [])].map(([area, logs]) => [area, copiesOf(logs)]))
    this.objects = new ObjectContent(!fast, from?.objects)
    this.tree = new TreeContent(!fast, this.objects, clock, { foldsCase, from: from?.tree })
  }

  /** The names of all incoming objects. */
  incoming(): string[] {
    const prefix = objectKey('incoming', '')
    return [...this.objects.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
  }

  /** @throws `STORAGE_READ_ONLY`, and `STORAGE_FULL` when the change needs room */
  checkChange(needsRoom: boolean): void {
    if (this.faults.readOnly)
      throw new HotspareError('STORAGE_READ_ONLY', 'the memory is read-only')
    if (needsRoom && this.faults.full) throw new HotspareError('STORAGE_FULL', 'the memory is full')
  }

  /**
   * Syncs objects or files.
   *
   * @param failed - called when the sync fails; `isLost`: what is not durable is dropped
   * @throws `STORAGE_FAILED` once after `failNextSync` or `loseNextSync` was set
   */
  syncOrLose(sync: () => void, failed: (isLost: boolean) => void): void {
    const isLost = this.faults.loseNextSync
    this.faults.loseNextSync = false
    try {
      if (isLost)
        throw storageFailed(
          'the memory failed to sync and dropped the bytes, because loseNextSync was set',
        )
      this.checkSync()
    } catch (error) {
      failed(isLost)
      throw error
    }
    sync()
  }

  /** @throws `STORAGE_FAILED` once after `failNextSync` was set */
  checkSync(): void {
    if (!this.faults.failNextSync) return
    this.faults.failNextSync = false
    throw storageFailed('the memory failed to sync, because failNextSync was set')
  }
}

function noFaults(): MemoryFaults {
  return {
    full: false,
    readOnly: false,
    failNextSync: false,
    loseNextSync: false,
    latency: undefined,
    failure: undefined,
  }
}

function copiesOf(logs: ReadonlyMap<string, LogContent>): Map<string, LogContent> {
  return new Map([...logs].map(([name, log]) => [name, log.copy()]))
}

/** The key of an object among all areas. */
export function objectKey(area: ObjectArea, name: string): string {
  return `${area}/${name}`
}
