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
   * Returns the whole state as plain data, at most 1 GiB when encoded; `ClusterNode.update` says
   * what plain data is. It is called between two applies and returns the state itself, not a
   * promise. Encoding the result blocks the event loop.
   */
  snapshot(): unknown
  /**
   * Replaces the whole state by a value that `snapshot` returned on another node, or earlier on
   * this one.
   */
  restore(snapshot: unknown): void | Promise<void>
  /**
   * Applies one change, on every node, in the same order. It must be deterministic: its effect may
   * depend on the state, the change and the position only. An exception is a result like any other
   * and is replicated too. Bytes in a change are views into the journal's buffer: they may be kept,
   * but must not be changed.
   */
  apply(change: Change, position: StatePosition): Result
  /**
   * For an application that stores its state itself: returns, at start, the position stored with
   * that state. Changes up to it are not applied again. Without this hook the state is rebuilt from
   * the last snapshot and the journal. That also happens when a crash lost changes from the journal
   * that the application had already stored; to allow it, the node stores one snapshot at the first
   * start with this class.
   */
  position?(): StatePosition | undefined | Promise<StatePosition | undefined>
}

/** State that the application keeps; changes to it are replicated and applied on every node. */
export interface AppStateClass<Change, Result> extends AppStateHooks<Change, Result> {
  /** Tells the kinds of classes apart. */
  readonly kind: 'appState'
  /** Which journals a change must reach before it is acknowledged. */
  readonly ack: AckLevel
  /** Whether the journal in memory suffices, or it must be on disk. */
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
 * @throws `OPTION_INVALID` for an invalid option, and for an unknown hook
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
  // An instance of a class may have further fields, so only plain objects are checked.
  if (Object.getPrototypeOf(hooks) === Object.prototype) {
    requireKnown('appState()', hooks, ['snapshot', 'restore', 'apply', 'position'])
  }
  for (const name of ['snapshot', 'apply'] as const) {
    // Checked at run time, because a type that excludes promises would also exclude `unknown`.
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
