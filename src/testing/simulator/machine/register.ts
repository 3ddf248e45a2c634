/** The application state of a simulated node: the changes that were applied, in order, by name. */
import type { AppStateClass, StatePosition } from '../../../policy/kinds/app-state.js'
import type { NeverSyncedClass } from '../../../policy/kinds/never-synced.js'
import type { SyncedClass } from '../../../policy/kinds/synced.js'

/** A change of the register. One that `fails` throws on every node. */
export interface RegisterChange {
  readonly id: number
  readonly name: string
  readonly fails?: boolean
}

/** The classes of a simulated node. */
export type SimulatedClasses = {
  readonly files: SyncedClass
  readonly quick: SyncedClass
  readonly register: AppStateClass<RegisterChange, number>
  readonly local: NeverSyncedClass
}

/** Called for every applied change. */
export type ApplyListener = (change: RegisterChange, position: StatePosition) => void

/**
 * The store of an application that persists its state itself. It is written with some of the
 * changes, and never partly.
 */
export class KeptState {
  /** The number of changes between two writes of the store. */
  readonly every: number
  names: readonly [string, number[]][] = []
  position: StatePosition | undefined

  constructor(every: number) {
    this.every = every
  }
}

/** The state of one process. A new process begins with an empty one, or with what its store has. */
export class Register {
  #names = new Map<string, number[]>()
  /** How often it was replaced by a snapshot. */
  restores = 0
  /** Whether `snapshot` works. */
  givesSnapshots = true
  readonly #onApply: ApplyListener
  readonly #kept: KeptState | undefined
  #applied = 0

  constructor(onApply: ApplyListener, kept?: KeptState) {
    this.#onApply = onApply
    this.#kept = kept
    if (kept !== undefined) this.#names = copyOf(kept.names)
  }

  /** The store with the position of its state; undefined for an application without a store. */
  get kept(): { readonly position: StatePosition | undefined } | undefined {
    return this.#kept
  }

  snapshot(): [string, number[]][] {
    if (!this.givesSnapshots) throw new Error('there is no snapshot to be had now')
    return this.content()
  }

  /** The ids under each name, in the order in which they were applied. */
  content(): [string, number[]][] {
    const content = [...this.#names].map(([name, ids]): [string, number[]] => [name, [...ids]])
    return content.sort(([left], [right]) => (left < right ? -1 : 1))
  }

  ids(): number[] {
    return [...this.#names.values()].flat()
  }

  restore(snapshot: unknown): void {
    this.#names = copyOf(snapshot as [string, number[]][])
    this.restores += 1
  }

  apply(change: RegisterChange, position: StatePosition): number {
    this.#onApply(change, position)
    try {
      return this.#take(change)
    } finally {
      this.#keep(position)
    }
  }

  #take(change: RegisterChange): number {
    if (change.fails === true) throw new Error(`change ${change.id} fails on purpose`)
    const ids = this.#names.get(change.name) ?? []
    ids.push(change.id)
    this.#names.set(change.name, ids)
    return ids.length
  }

  #keep(position: StatePosition): void {
    const kept = this.#kept
    this.#applied += 1
    if (kept === undefined || this.#applied % kept.every !== 0) return
    kept.names = this.content()
    kept.position = position
  }
}

function copyOf(names: readonly [string, number[]][]): Map<string, number[]> {
  return new Map(names.map(([name, ids]) => [name, [...ids]]))
}

/** The classes of application state. */
export const simulatedStates: readonly string[] = ['register']
