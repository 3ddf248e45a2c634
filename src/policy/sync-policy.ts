import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { HotspareError } from '../errors.js'
import { requireKnown } from '../util/option-names.js'
import { compileGlobs, type GlobSet, normaliseGlobs } from './glob.js'
import { findOverlap } from './glob-overlap.js'
import type { AnyAppStateClass } from './kinds/app-state.js'
import {
  type ClassDeclaration,
  type FileClass,
  isFileClass,
  kindNames,
  kindOf,
} from './kinds/table.js'
import { isValidPath, matchablePath } from './path-rules.js'

/** A class that claims paths, with its name. */
export interface NamedFileClass {
  /** The name under which the policy declares it. */
  readonly name: string
  /** What it declares. */
  readonly declaration: FileClass
}

/** A class of application state, with its name. */
export interface NamedStateClass {
  /** The name under which the policy declares it. */
  readonly name: string
  /** What it declares. */
  readonly declaration: AnyAppStateClass
}

/** Options of a {@link SyncPolicy} that apply to all its classes. */
export interface SyncPolicyOptions {
  /**
   * How a new file is treated whose path differs from that of another file or folder only in upper
   * and lower case. On a file system that ignores case (the default on macOS and Windows) both
   * would be one file. `refuse`: the active refuses it with `PATH_CONFLICT`. `allow`: it is a
   * separate file, and a node whose storage ignores case does not start. The active decides; use
   * the same value on all nodes. Default `refuse`.
   */
  readonly namesDifferingByCase?: 'refuse' | 'allow'
}

/** Classes in one policy; more are `OPTION_INVALID`. */
export const classesMax: number = 256

/**
 * Paths whose class is cached, so that a path in steady use is matched only once; the least
 * recently used one is evicted beyond it.
 */
const rememberedPathsMax = 8192

/**
 * Names of classes are restricted, because they appear in logs, events, frames and names of stored
 * files.
 */
const namePattern = /^[a-z][a-z0-9_-]{0,63}$/i

/** The format of the fingerprints; raise it when what goes into them changes. */
const fingerprintFormat = 1

interface CompiledClass extends NamedFileClass {
  readonly globs: GlobSet
}

/**
 * What is replicated, and how: a name for each class of data, with its rule. A path that no class
 * claims is never synced. Every node of a cluster runs the same policy.
 *
 * @example
 * ```ts
 * import { appState, neverSynced, SyncPolicy, synced } from 'hotspare'
 *
 * const notes: string[] = []
 * const policy = new SyncPolicy({
 *   messages: synced('messages/**'),
 *   data: synced(['data/**', '!data/tmp/**'], { ack: 'all' }),
 *   notes: appState<string, number>({
 *     snapshot: () => [...notes],
 *     restore: (snapshot) => void notes.splice(0, notes.length, ...(snapshot as string[])),
 *     apply: (note) => notes.push(note),
 *   }),
 *   local: neverSynced(['properties.txt', 'logs/**'], { reason: 'differs per machine' }),
 * })
 * policy.classOf('messages/42.txt')?.name // 'messages'
 * ```
 */
export class SyncPolicy<
  Classes extends Record<string, ClassDeclaration> = Record<string, ClassDeclaration>,
> {
  /** The classes as the constructor got them; their types check the arguments of `update()`. */
  readonly classes: Readonly<Classes>
  /** How a new path is treated that differs from another one only in case. */
  readonly namesDifferingByCase: 'refuse' | 'allow'
  readonly #byName = new Map<string, ClassDeclaration>()
  readonly #files: CompiledClass[] = []
  readonly #states: NamedStateClass[] = []
  /**
   * The class of each cached path, if any. Limited by size, because the cache allocates a limit of
   * entries in advance.
   */
  readonly #remembered = new LRUCache<string, { readonly found: NamedFileClass | undefined }>({
    maxSize: rememberedPathsMax,
    sizeCalculation: () => 1,
  })

  /**
   * @param classes - a declaration for each name, made by {@link synced}, {@link neverSynced} or
   *   {@link appState}. Names begin with a letter and consist of letters, digits, `_` and `-`, up
   *   to 64 characters.
   * @param options - options that apply to all classes
   * @throws `POLICY_CONFLICT` when two classes claim the same path, naming both, and such a path
   * @throws `OPTION_INVALID` for an invalid name, glob or option
   * @throws TypeError when a value is not a declaration
   */
  constructor(classes: Classes, options: SyncPolicyOptions = {}) {
    this.namesDifferingByCase = namesDifferingByCaseOf(options)
    if (typeof classes !== 'object' || classes === null) {
      throw new TypeError('SyncPolicy needs an object of classes')
    }
    const entries = Object.entries(classes)
    if (entries.length > classesMax) {
      throw new HotspareError(
        'OPTION_INVALID',
        `a policy can have at most ${classesMax} classes, not ${entries.length}`,
        { details: { option: 'classes', limit: classesMax, actual: entries.length } },
      )
    }
    for (const [name, declaration] of entries) this.#add(name, declaration)
    this.#refuseOverlaps()
    this.classes = Object.freeze({ ...classes })
  }

  #add(name: string, declaration: ClassDeclaration): void {
    if (!namePattern.test(name)) {
      throw new HotspareError(
        'OPTION_INVALID',
        `class name ${JSON.stringify(name)} is not a letter followed by up to 63 letters, digits, '_' or '-'`,
        { details: { option: 'classes', className: name } },
      )
    }
    if (!kindNames.includes(declaration?.kind)) {
      const constructors = kindNames.map((kind) => `${kind}()`)
      throw new TypeError(`class '${name}' is none of ${constructors.join(', ')}`)
    }
    // Levels and globs are checked again, because a declaration may also be written by hand.
    kindOf(declaration).levels(declaration)
    if (isFileClass(declaration)) {
      const globs = compileGlobs(normaliseGlobs(declaration.globs))
      this.#files.push({ name, declaration, globs })
    } else {
      this.#states.push({ name, declaration })
    }
    this.#byName.set(name, declaration)
  }

  #refuseOverlaps(): void {
    for (const [at, first] of this.#files.entries()) {
      for (const second of this.#files.slice(at + 1)) {
        const overlap = findOverlap(first.globs, second.globs)
        if (overlap === undefined) continue
        throw conflict(
          first,
          second,
          overlap.path,
          ` ('${overlap.first}' and '${overlap.second}' meet there; if '${second.name}' should have it,` +
            ` give '${first.name}' also the glob '!${overlap.second}')`,
        )
      }
    }
  }

  /**
   * The class that claims a path. A path that breaks the rules for paths (absolute, with `..` and
   * the like) is claimed by none.
   *
   * @param path - relative to the root of the storage
   * @returns the class with its name, or undefined when no class claims the path
   * @throws `POLICY_CONFLICT` when two classes claim it and the constructor could not prove that
   */
  classOf(path: string): NamedFileClass | undefined {
    const remembered = this.#remembered.get(path)
    if (remembered !== undefined) return remembered.found
    if (!isValidPath(path)) return undefined
    let found: CompiledClass | undefined
    for (const candidate of this.#files) {
      if (!candidate.globs.matches(path)) continue
      if (found !== undefined) throw conflict(found, candidate, path, '')
      found = candidate
    }
    const answer =
      found === undefined ? undefined : { name: found.name, declaration: found.declaration }
    this.#remembered.set(path, { found: answer })
    return answer
  }

  /**
   * Whether a reader of this policy would expect the path, or something below it, to be replicated.
   * Paths that break the rules are included, although {@link SyncPolicy.classOf} returns no class
   * for them.
   *
   * @param path - relative to the root of the storage, in any form
   */
  seemsSynced(path: string): boolean {
    const matchable = matchablePath(path)
    const claims = this.#files.filter(({ globs }) => globs.matches(matchable))
    if (claims.length > 0)
      return claims.every(({ declaration }) => kindOf(declaration).isReplicated)
    return this.#files.some(
      ({ declaration, globs }) => kindOf(declaration).isReplicated && globs.reachesBelow(matchable),
    )
  }

  /** The declaration of a class, or undefined when there is none of this name. */
  get(name: string): ClassDeclaration | undefined {
    return this.#byName.get(name)
  }

  /** The names of all classes, in the order of declaration. */
  names(): string[] {
    return [...this.#byName.keys()]
  }

  /** The classes that claim paths, in the order of declaration. */
  fileClasses(): NamedFileClass[] {
    return this.#files.map(({ name, declaration }) => ({ name, declaration }))
  }

  /** The classes of application state, in the order of declaration. */
  stateClasses(): NamedStateClass[] {
    return [...this.#states]
  }

  /**
   * For each replicated class, 16 hexadecimal digits that are equal on two nodes exactly when both
   * treat its data alike: its kind, its globs in any order, and its durability. The acknowledgement
   * level is left out, because the active alone decides by it, and so are never-synced classes,
   * because machines may keep different files to themselves.
   */
  fingerprints(): Record<string, string> {
    const result: Record<string, string> = {}
    for (const [name, declaration] of this.#byName) {
      const kind = kindOf(declaration)
      if (!kind.isReplicated) continue
      const facts = [fingerprintFormat, declaration.kind, ...kind.fingerprinted(declaration)]
      const digest = createHash('sha256').update(JSON.stringify(facts)).digest('hex')
      result[name] = digest.slice(0, 16)
    }
    return result
  }
}

function namesDifferingByCaseOf(options: SyncPolicyOptions): 'refuse' | 'allow' {
  requireKnown('SyncPolicy options', options, ['namesDifferingByCase'])
  const { namesDifferingByCase = 'refuse' } = options
  if (namesDifferingByCase === 'refuse' || namesDifferingByCase === 'allow') {
    return namesDifferingByCase
  }
  throw new HotspareError(
    'OPTION_INVALID',
    `namesDifferingByCase is ${JSON.stringify(namesDifferingByCase)}, wanted 'refuse' or 'allow'`,
    { details: { option: 'namesDifferingByCase' } },
  )
}

function conflict(
  first: NamedFileClass,
  second: NamedFileClass,
  path: string,
  hint: string,
): HotspareError {
  return new HotspareError(
    'POLICY_CONFLICT',
    `classes '${first.name}' and '${second.name}' both claim '${path}'${hint}`,
    { details: { className: first.name, otherClassName: second.name, path } },
  )
}
