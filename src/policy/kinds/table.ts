/**
 * The kinds of classes. What a kind does is decided in its record and nowhere else.
 *
 * How to add a class kind:
 *
 * 1. Write `src/policy/kinds/<kind>.ts`. It holds three things: the interface of a declaration,
 *    with a `kind` of its own; the public constructor, which checks its options and is named like
 *    the kind; and the record, a {@link ClassKind}, which says what a class of this kind does:
 *
 *    | when | the record says |
 *    | --- | --- |
 *    | in the policy | `holdsFiles`: it claims paths, or it is state of the application |
 *    | at a restore | `isReplicated`: its data is copied, or it is never touched (`whyLocal`) |
 *    | on write | `takesFileChanges`, `takesUpdates`; `levels`: when a write is acknowledged |
 *    | on apply | `takesFileChanges`: changes of its paths reach the disk, whoever sent them |
 *    | in the scan of a start | `isScanned`: its files are compared with the index |
 *    | at the handshake | `fingerprinted`: what has to be equal on two nodes |
 *    | at a promotion | nothing yet: no kind does anything there (see step 4) |
 *
 * 2. Below, add the declaration to `FileClass` if it claims paths, else to `ClassDeclaration`, and
 *    one line to the table. The compiler asks for the line once the declaration is there.
 * 3. Export the constructor and the interface from `src/index.ts`.
 * 4. If the kind does something that no record speaks of, such as a call when its node is promoted
 *    or data that moves outside the journal, add a question to `kind.ts`, and answer it in every
 *    record. The code that acts on the answer stays in its room (`copy`, `replication`, `node`),
 *    because the policy imports nothing but errors, interfaces and tools. It asks
 *    `kindOf(declaration)` and compares no names: `test/tidy/kinds.test.ts` refuses the name of a
 *    kind in any other source.
 * 5. Test the declaration in `test/policy/sync-policy.test.ts`, and give the simulator's policy
 *    (`src/testing/simulator/machine/policies.ts`) a class of the kind.
 *
 * Once a kind is released, keep its name and what `fingerprinted` answers, in its order: nodes of
 * two versions compare the fingerprints, and a node whose fingerprints differ gets no data.
 */
import { type AnyAppStateClass, appStateKind } from './app-state.js'
import type { ClassKind } from './kind.js'
import { type NeverSyncedClass, neverSyncedKind } from './never-synced.js'
import { type SyncedClass, syncedKind } from './synced.js'

/** A class that claims paths. */
export type FileClass = SyncedClass | NeverSyncedClass

/** Any class that a {@link SyncPolicy} can hold. */
export type ClassDeclaration = FileClass | AnyAppStateClass

type KindName = ClassDeclaration['kind']

const kinds: { readonly [K in KindName]: ClassKind<Extract<ClassDeclaration, { kind: K }>> } = {
  synced: syncedKind,
  neverSynced: neverSyncedKind,
  appState: appStateKind,
}

/** The names of all kinds; each is the name of its constructor, too. */
export const kindNames: readonly string[] = Object.keys(kinds)

/** What a class does. */
export function kindOf(declaration: ClassDeclaration): ClassKind<ClassDeclaration> {
  return kinds[declaration.kind]
}

/** Whether a class claims paths. */
export function isFileClass(declaration: ClassDeclaration): declaration is FileClass {
  return kindOf(declaration).holdsFiles
}
