import type { ResolvedClassOptions } from '../class-options.js'

/** The properties of a kind that decide about a path. */
export type PathQuestion = 'isReplicated' | 'isScanned' | 'takesFileChanges'

interface KindFacts<Declaration> {
  /**
   * Whether the class contains files at the paths that its globs claim, or else state that the
   * application keeps.
   */
  readonly holdsFiles: boolean
  /** Whether the journal carries changes of its files, on write and on apply. */
  readonly takesFileChanges: boolean
  /** Whether the journal carries updates of its state, which its hooks apply. */
  readonly takesUpdates: boolean
  /** Whether the scan at start compares its files with the index and reports differences. */
  readonly isScanned: boolean
  /**
   * The acknowledgement level and durability of its changes; undefined for a kind that has no
   * changes.
   *
   * @throws `OPTION_INVALID` for a level that does not exist: a declaration may be written by hand
   */
  levels(declaration: Declaration): ResolvedClassOptions | undefined
}

interface ReplicatedKind<Declaration> extends KindFacts<Declaration> {
  /** Every node has a copy of its data: a restore copies it and may replace files on the disk. */
  readonly isReplicated: true
  /**
   * The parts of the fingerprint, besides the name of the kind: what must be equal on two nodes.
   */
  fingerprinted(declaration: Declaration): readonly unknown[]
}

interface LocalKind<Declaration> extends KindFacts<Declaration> {
  /** Its files belong to one machine: they are never read, sent, written or removed. */
  readonly isReplicated: false
  /** Why `node.files` refuses its paths, as the end of a sentence. */
  whyLocal(declaration: Declaration): string
}

/**
 * The properties of one kind of class. The rest of the library reads them and never compares the
 * name of a kind.
 */
export type ClassKind<Declaration> = ReplicatedKind<Declaration> | LocalKind<Declaration>
