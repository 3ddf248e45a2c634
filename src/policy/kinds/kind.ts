import type { ResolvedClassOptions } from '../class-options.js'

/** The questions about a kind that are asked for a path. */
export type PathQuestion = 'isReplicated' | 'isScanned' | 'takesFileChanges'

interface KindFacts<Declaration> {
  /** Content: files at the paths that globs claim, or else state that the application holds. */
  readonly holdsFiles: boolean
  /** On write and on apply: the journal carries changes of its files. */
  readonly takesFileChanges: boolean
  /** On write: the journal carries updates of its state, which its hooks apply. */
  readonly takesUpdates: boolean
  /** In the scan of a start: its files are compared with the index, and differences reported. */
  readonly isScanned: boolean
  /**
   * On write: when a change is acknowledged. Undefined for a kind that takes no changes.
   *
   * @throws `OPTION_INVALID` for a level that does not exist: a declaration may be written by hand
   */
  levels(declaration: Declaration): ResolvedClassOptions | undefined
}

interface ReplicatedKind<Declaration> extends KindFacts<Declaration> {
  /** Every node has its data: a restore copies it and may replace what is on the disk. */
  readonly isReplicated: true
  /** In the fingerprint: what has to be equal on two nodes, beside the name of the kind. */
  fingerprinted(declaration: Declaration): readonly unknown[]
}

interface LocalKind<Declaration> extends KindFacts<Declaration> {
  /** Its files belong to one machine: they are never read, sent, written or removed. */
  readonly isReplicated: false
  /** On write: why `node.files` refuses its paths, as the end of a sentence. */
  whyLocal(declaration: Declaration): string
}

/**
 * What one kind of class is and does. The rest of the library asks these questions and never
 * compares the name of a kind.
 */
export type ClassKind<Declaration> = ReplicatedKind<Declaration> | LocalKind<Declaration>
