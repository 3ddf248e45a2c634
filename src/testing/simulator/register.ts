/** The application state of a simulated node: which changes were applied, in which order, under which name. */
import type { AppStateClass, StatePosition } from '../../policy/app-state.js'
import { appState } from '../../policy/app-state.js'
import type { NeverSyncedClass } from '../../policy/never-synced.js'
import { neverSynced } from '../../policy/never-synced.js'
import { SyncPolicy } from '../../policy/sync-policy.js'
import type { SyncedClass } from '../../policy/synced.js'
import { synced } from '../../policy/synced.js'

/** A change of the register. One that `fails` throws, on every node alike. */
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

/** Told of every apply. */
export type ApplyListener = (change: RegisterChange, position: StatePosition) => void

/** One process's state; a new process begins with an empty one. */
export class Register {
  #names = new Map<string, number[]>()
  /** How often it began anew from a snapshot. */
  restores = 0
  readonly #onApply: ApplyListener

  constructor(onApply: ApplyListener) {
    this.#onApply = onApply
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
    const names = snapshot as [string, number[]][]
    this.#names = new Map(names.map(([name, ids]) => [name, [...ids]]))
    this.restores += 1
  }

  apply(change: RegisterChange, position: StatePosition): number {
    this.#onApply(change, position)
    if (change.fails === true) throw new Error(`change ${change.id} fails on purpose`)
    const ids = this.#names.get(change.name) ?? []
    ids.push(change.id)
    this.#names.set(change.name, ids)
    return ids.length
  }
}

/** The classes of application state. */
export const simulatedStates: readonly string[] = ['register']

/** The policy that all simulated nodes share. */
export function simulatedPolicy(register: Register): SyncPolicy<SimulatedClasses> {
  return new SyncPolicy<SimulatedClasses>({
    files: synced('data/**'),
    quick: synced('quick/**', { ack: 'local', durability: 'memory' }),
    register: appState<RegisterChange, number>({
      snapshot: () => register.content(),
      restore: (snapshot) => register.restore(snapshot),
      apply: (change, position) => register.apply(change, position),
    }),
    local: neverSynced(['properties.txt', 'logs/**'], { reason: 'differs per machine' }),
  })
}
