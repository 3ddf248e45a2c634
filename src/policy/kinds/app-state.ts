import { requireKnown } from '../../util/option-names.js'
import {
  type AckLevel,
  type ClassOptions,
  type Durability,
  givenClassOptions,
  resolveClassOptions,
} from '../class-options.js'
import type { ClassKind } from './kind.js'

/** A place in the history, as an application sees it: the number of a term and of a change. */
export interface StatePosition {
  /** The number of the term; it never goes back. */
  readonly epoch: number
  /** The sequence number of the change, over all classes. */
  readonly seq: number
}

/** What an application provides for a class of its own state. */
export interface AppStateHooks<Change, Result> {
  /**
   * The whole state as plain data, of 1 GiB at most when encoded; see `ClusterNode.update` for what
   * that is. It is called between two applies and returns the state itself, not a promise. While it
   * is encoded the process does nothing else.
   */
  snapshot(): unknown
  /**
   * Replaces the whole state by what `snapshot` returned on another node, or earlier on this one.
   */
  restore(snapshot: unknown): void | Promise<void>
  /**
   * Carries out one change, on every node, in the same order. It must be deterministic: nothing but
   * the state, the change and the position may decide what it does. A throw is an outcome like any
   * other and is replicated too. Bytes in a change are views of the journal's: they may be kept,
   * and must not be changed.
   */
  apply(change: Change, position: StatePosition): Result
  /**
   * For an application that stores its state itself: the position stored with that state, read at
   * start. Changes up to it are not applied again. Without it the state is rebuilt from the last
   * snapshot and the journal; so it is when a crash took changes from the journal that the
   * application had stored already. For that the node stores one snapshot at the first start with
   * this class.
   */
  position?(): StatePosition | undefined | Promise<StatePosition | undefined>
}

/** State that lives in the application; changes to it are replicated and applied on every node. */
export interface AppStateClass<Change, Result> extends AppStateHooks<Change, Result> {
  /** Tells the kinds of classes apart. */
  readonly kind: 'appState'
  /** How far a change has come before it is acknowledged. */
  readonly ack: AckLevel
  /** Whether that means memory or disk. */
  readonly durability: Durability
}

/** A class of application state, whatever its changes and results are. */
export type AnyAppStateClass = AppStateClass<unknown, unknown>

/**
 * Declares state that the application keeps itself, in memory or in a store of its own.
 *
 * @param hooks - `snapshot`, `restore`, `apply`, and `position` where the application persists
 * @param options - acknowledgement and durability of the changes
 * @returns the declaration, for a {@link SyncPolicy}
 * @throws TypeError when a hook is missing, or `snapshot` or `apply` is an async function
 * @throws `OPTION_INVALID` for an option that cannot work, and for a hook that there is not
 *
 * @example
 * ```ts
 * const counters = new Map<string, number>()
 * const calls = appState<{ name: string }, number>({
 *   snapshot: () => [...counters],
 *   restore: (snapshot) => {
 *     counters.clear()
 *     for (const [name, count] of snapshot as [string, number][]) counters.set(name, count)
 *   },
 *   apply: ({ name }) => {
 *     const count = (counters.get(name) ?? 0) + 1
 *     counters.set(name, count)
 *     return count
 *   },
 * })
 * ```
 */
export function appState<Change, Result>(
  hooks: AppStateHooks<Change, Result>,
  options?: ClassOptions,
): AppStateClass<Change, Result> {
  for (const name of ['snapshot', 'restore', 'apply'] as const) {
    if (typeof hooks?.[name] !== 'function') throw new TypeError(`appState() needs ${name}()`)
  }
  // An object of a class has fields of its own.
  if (Object.getPrototypeOf(hooks) === Object.prototype) {
    requireKnown('appState()', hooks, ['snapshot', 'restore', 'apply', 'position'])
  }
  for (const name of ['snapshot', 'apply'] as const) {
    // The type cannot say so without refusing states of unknown type as well.
    if (isAsync(hooks[name])) throw new TypeError(`appState() takes no async ${name}()`)
  }
  const persisted = hooks.position
  if (persisted !== undefined && typeof persisted !== 'function') {
    throw new TypeError('appState() takes position() as a function')
  }
  const declaration: AppStateClass<Change, Result> = {
    kind: 'appState',
    ...givenClassOptions(options),
    // Called through the given object, so that hooks may be methods of a class.
    snapshot: () => hooks.snapshot(),
    restore: (snapshot) => hooks.restore(snapshot),
    apply: (change, position) => hooks.apply(change, position),
    ...(persisted === undefined ? {} : { position: () => persisted.call(hooks) }),
  }
  return Object.freeze(declaration)
}

/** What a class of application state does. In the fingerprint, its list of globs is empty. */
export const appStateKind: ClassKind<AnyAppStateClass> = {
  holdsFiles: false,
  isReplicated: true,
  takesFileChanges: false,
  takesUpdates: true,
  isScanned: false,
  levels: resolveClassOptions,
  fingerprinted: ({ durability }) => [[], durability],
}

function isAsync(hook: unknown): boolean {
  return Object.prototype.toString.call(hook) === '[object AsyncFunction]'
}
