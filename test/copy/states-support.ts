/** Applications for the suites about application state. */
import type { CopyEvent, CopyLimits } from '../../src/copy/contents/types.js'
import type { LocalCopy } from '../../src/copy/local-copy.js'
import type { StatePosition } from '../../src/policy/kinds/app-state.js'
import { appState } from '../../src/policy/kinds/app-state.js'
import { synced } from '../../src/policy/kinds/synced.js'
import { SyncPolicy } from '../../src/policy/sync-policy.js'
import type { MemoryStorage } from '../../src/storage/memory.js'
import { SeededRandom } from '../../src/testing/simulator/machine/seeded-random.js'
import { openCopy, owner, smallLimits } from './support.js'

/** An application that stores its state itself, with the position, whenever it is told to. */
export class Persistent {
  stored: { sum: number; position: StatePosition | undefined } = { sum: 0, position: undefined }
  sum = 0
  at: StatePosition | undefined
  restores = 0
  applied: number[] = []
  givesSnapshots = true

  /** The process starts: what is in memory is what was stored. */
  start(): Record<string, unknown> {
    this.sum = this.stored.sum
    this.at = this.stored.position
    this.applied = []
    this.restores = 0
    return {
      docs: synced('docs/**'),
      kv: appState<{ add: number }, number>({
        snapshot: () => {
          if (!this.givesSnapshots) throw new Error('there is no snapshot to be had now')
          return this.sum
        },
        restore: (snapshot) => {
          this.restores += 1
          this.sum = snapshot as number
        },
        apply: ({ add }, position) => {
          this.applied.push(position.seq)
          this.sum += add
          this.at = position
          return this.sum
        },
        position: () => this.stored.position,
      }),
    }
  }

  store(): void {
    this.stored = { sum: this.sum, position: this.at }
  }
}

export const startLimits: CopyLimits = {
  ...smallLimits,
  checkpointBytes: 4000,
  journalBytesMax: 12_000,
}

export async function start(
  storage: MemoryStorage,
  classes: Record<string, unknown>,
  events: CopyEvent[] = [],
  changed: Partial<CopyLimits> = {},
): Promise<LocalCopy> {
  const policy = new SyncPolicy(classes as never) as unknown as SyncPolicy
  const limits = { ...startLimits, ...changed }
  return openCopy(await storage.open(owner()), policy, { events, limits })
}

/**
 * Takes the stored snapshot of the class away, as on a disk that an earlier version left, or that
 * lost it.
 */
export async function removeSnapshot(storage: MemoryStorage): Promise<void> {
  const open = await storage.open(owner())
  await open.documents.remove('state/kv')
  await open.close()
}

/** A state whose snapshots go wrong. */
export class Failing {
  applied = 0
  restored: unknown
  snapshot: () => unknown = () => this.applied

  classes(): Record<string, ReturnType<typeof appState> | ReturnType<typeof synced>> {
    return {
      docs: synced('docs/**'),
      kv: appState({
        snapshot: () => this.snapshot(),
        restore: (snapshot) => {
          this.restored = snapshot
        },
        apply: () => {
          this.applied += 1
        },
      }),
    }
  }
}

export const badSnapshots = {
  throws: {
    snapshot: (): unknown => {
      throw new RangeError('not now')
    },
    why: 'RangeError: not now',
  },
  'is a promise': { snapshot: () => Promise.resolve([1]), why: 'returned a promise' },
  'is no plain data': {
    snapshot: () => ({ all: new Map() }),
    why: 'it contains an instance of Map',
  },
  'is too large': { snapshot: () => 'x'.repeat(3000), why: 'above the limit of 2000' },
}

export const pad = (length: number): string => 'p'.repeat(length)

export function crashed(storage: MemoryStorage): MemoryStorage {
  storage.crash(new SeededRandom(1), { powerCut: false })
  return storage
}

export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
